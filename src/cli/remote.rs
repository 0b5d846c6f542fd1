//! A machine through its adapter, from the flags about the network.

use std::fs::File;
use std::io::BufWriter;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use crate::dma::{Dma, DmaError, DmaOptions, TraceLink, UdpLink, requester_id};
use crate::memory::PhysicalMemory;
use crate::report::Report;
use crate::wire::RequesterId;

use super::target::Unopened;

/// How long the driver on the target may take to tell the requester ID.
const DRIVER_TIMEOUT: Duration = Duration::from_secs(2);

/// The flags about the network.
#[derive(Debug)]
pub(super) struct Remote<'a> {
    pub(super) remote: Ipv4Addr,
    pub(super) local: Option<Ipv4Addr>,
    pub(super) requester: Option<RequesterId>,
    pub(super) requester_from: Option<Ipv4Addr>,
    pub(super) max_read: Option<u32>,
    pub(super) window: Option<u32>,
    pub(super) tags: Option<u16>,
    pub(super) pcap: Option<&'a Path>,
}

/// Opens the way to the adapter. Nothing is sent to the adapter yet; with `-R` the driver on the target is asked.
pub(super) fn open_remote(flags: &Remote<'_>) -> Result<Box<dyn PhysicalMemory>, Unopened> {
    let local = flags.local.map(IpAddr::V4);
    let requester = find_requester(flags)?;
    let mut options = DmaOptions::new(IpAddr::V4(flags.remote), requester);
    options.local = local;
    options.max_read = flags.max_read.unwrap_or(options.max_read);
    options.window_bytes = flags.window.unwrap_or(options.window_bytes);
    options.tags = flags.tags.or(options.tags);
    let link = UdpLink::open(&options).map_err(report)?;
    let Some(path) = flags.pcap else {
        return Ok(Box::new(
            Dma::over(Box::new(link), &options).map_err(report)?,
        ));
    };
    let refused = |error: std::io::Error| {
        Report::error(format!("cannot write datagrams to `{}`", path.display()))
            .with_note(error.to_string())
    };
    let output = BufWriter::new(File::create(path).map_err(refused)?);
    let (from, to) = (link.local(), link.remote());
    let link = TraceLink::new(link, output, from, to).map_err(refused)?;
    Ok(Box::new(
        Dma::over(Box::new(link), &options).map_err(report)?,
    ))
}

/// The requester ID that was given, or that the driver tells.
fn find_requester(flags: &Remote<'_>) -> Result<RequesterId, Unopened> {
    if let Some(requester) = flags.requester {
        return Ok(requester);
    }
    let Some(driver) = flags.requester_from else {
        return Err(no_requester().into());
    };
    let answer = requester_id(IpAddr::V4(driver), None, DRIVER_TIMEOUT);
    answer.map_err(|error| {
        Unopened::Unanswered(report(error).with_hint(
            "-R asks the NetTLP driver on the target, so IP is the target's own address; without the driver, give -b BB:DD.F \
             as `lspci -d 3776:` prints it on the target",
        ))
    })
}

/// Without a requester ID no answer would find its way back to the adapter.
fn no_requester() -> Report {
    Report::error("-r needs the adapter's PCIe requester ID")
        .with_note(
            "the target's root complex sends its answers to a requester ID (bus:device.function), not to an IP address",
        )
        .with_hint("give it with -b BB:DD.F, as `lspci -d 3776:` prints it on the target, for example -b 1b:00")
        .with_hint("or let -R IP ask the NetTLP driver on the target, at the target's own address")
}

fn report(error: DmaError) -> Report {
    Report::from_error(&error)
}
