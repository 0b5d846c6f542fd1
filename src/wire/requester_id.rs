//! Requester and completer IDs: bus, device and function of a PCIe function.

use std::fmt;
use std::str::FromStr;

use super::WireError;

/// Bus (8 bits), device (5) and function (3) of a PCIe function, as requester or as completer. On the wire the bus comes first.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequesterId(u16);

impl RequesterId {
    /// The ID with these sixteen bits, bus in the upper byte.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The ID of a function; `None` where device is above 31 or function above 7.
    pub const fn new(bus: u8, device: u8, function: u8) -> Option<Self> {
        if device > 31 || function > 7 {
            return None;
        }
        Some(Self(
            (bus as u16) << 8 | (device as u16) << 3 | function as u16,
        ))
    }

    /// The sixteen bits, bus in the upper byte.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Bus number.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// Device number, 0 to 31.
    pub const fn device(self) -> u8 {
        (self.0 >> 3) as u8 & 0x1f
    }

    /// Function number, 0 to 7.
    pub const fn function(self) -> u8 {
        self.0 as u8 & 7
    }
}

impl fmt::Display for RequesterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:02x}:{:02x}.{}",
            self.bus(),
            self.device(),
            self.function()
        )
    }
}

impl fmt::Debug for RequesterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl FromStr for RequesterId {
    type Err = WireError;

    /// Reads `BB:DD` or `BB:DD.F`, hexadecimal as `lspci` prints it; the function is 0 where it is not written.
    fn from_str(text: &str) -> Result<Self, WireError> {
        let refuse = |reason| WireError::RequesterId {
            text: text.to_owned(),
            reason,
        };
        let (bus, rest) = text.split_once(':').ok_or(refuse("there is no colon"))?;
        if rest.contains(':') {
            return Err(refuse("a PCI domain has no place in a TLP"));
        }
        let (device, function) = rest.split_once('.').unwrap_or((rest, "0"));
        let bus = hexadecimal(bus, 0xff).ok_or(refuse("the bus is not a number from 00 to ff"))?;
        let device =
            hexadecimal(device, 0x1f).ok_or(refuse("the device is not a number from 00 to 1f"))?;
        let function =
            hexadecimal(function, 7).ok_or(refuse("the function is not a number from 0 to 7"))?;
        Self::new(bus, device, function).ok_or(refuse("it is out of range"))
    }
}

/// One or two hexadecimal digits, without sign or prefix, up to `largest`.
fn hexadecimal(text: &str, largest: u8) -> Option<u8> {
    if !(1..=2).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(text, 16)
        .ok()
        .filter(|number| *number <= largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_lspci_prints() {
        let id: RequesterId = "1b:00".parse().unwrap();
        assert_eq!(id.bits(), 0x1b00);
        assert_eq!("1b:00.0".parse(), Ok(id));
        assert_eq!("1B:0.0".parse(), Ok(id));
        let id: RequesterId = "ff:1f.7".parse().unwrap();
        assert_eq!((id.bus(), id.device(), id.function()), (0xff, 31, 7));
        assert_eq!(id.to_string(), "ff:1f.7");
        assert_eq!("0a:10.3".parse(), Ok(RequesterId::from_bits(0x0a83)));
    }

    #[test]
    fn refuses_anything_else_and_says_why() {
        for (text, reason) in [
            ("", "there is no colon"),
            ("1b00", "there is no colon"),
            ("0000:1b:00.0", "a PCI domain has no place in a TLP"),
            ("1bb:00", "the bus is not a number from 00 to ff"),
            ("+1:00", "the bus is not a number from 00 to ff"),
            ("1b:20", "the device is not a number from 00 to 1f"),
            ("1b:", "the device is not a number from 00 to 1f"),
            ("1b:00.8", "the function is not a number from 0 to 7"),
            ("1b:00.", "the function is not a number from 0 to 7"),
        ] {
            assert_eq!(
                text.parse::<RequesterId>(),
                Err(WireError::RequesterId {
                    text: text.to_owned(),
                    reason
                })
            );
        }
    }
}
