//! The built-in demo: a recording of a real Debian kernel in a guest that looks like a small web server, with that kernel's profile.
//!
//! Both are made by `tests/laboratory/lab record-demo`; the recording holds the blocks that the scripts in `examples/` touch.

use std::borrow::Cow;

use crate::memory::{PhysicalMemory, Replay};
use crate::report::Report;

static RECORDING: &[u8] = include_bytes!("demo/recording");
static PROFILE: &[u8] = include_bytes!("demo/profile.yaml.zst");

/// Opens the recording.
pub fn memory() -> Result<Box<dyn PhysicalMemory + Send>, Report> {
    match Replay::from_bytes(RECORDING) {
        Ok(replay) => Ok(Box::new(replay)),
        Err(problem) => {
            Err(Report::error("the built-in recording is damaged").with_note(problem.to_string()))
        }
    }
}

/// The layout profile of the recorded kernel, as YAML; `None` if it is damaged.
pub fn profile() -> Option<Cow<'static, [u8]>> {
    zstd::decode_all(PROFILE).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::LayoutProfile;

    #[test]
    fn recording_and_profile_can_be_opened() {
        assert!(memory().is_ok());
        let profile = LayoutProfile::from_bytes(profile().unwrap()).unwrap();
        assert!(profile.structure("task_struct").unwrap().is_some());
    }
}
