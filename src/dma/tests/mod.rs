//! The requester against a simulated adapter and target with a clock of its own; links and questions against real sockets.

mod adapters;
mod card;
mod conformance;
mod faults;
mod libtlp;
mod links;
mod losses;
mod simulation;
mod udp;

use std::net::Ipv4Addr;

use crate::addr::PhysAddr;
use crate::memory::{PhysicalMemory, ReadFailure, ReadRequest};

use super::Dma;

/// Reads all of `reads` (address, bytes) at once; the outcomes in order.
fn read_all(dma: &mut Dma, reads: &[(u64, u32)]) -> Vec<Result<Vec<u8>, ReadFailure>> {
    let mut outcomes = vec![None; reads.len()];
    for (index, (address, length)) in reads.iter().enumerate() {
        dma.submit(ReadRequest {
            id: index as u64,
            address: PhysAddr::new(*address),
            length: *length,
        });
    }
    let mut missing = reads.len();
    while missing > 0 {
        let before = missing;
        dma.complete(&mut |id, outcome| {
            let place = &mut outcomes[id as usize];
            assert!(place.is_none(), "read {id} ended twice");
            *place = Some(outcome.map(<[u8]>::to_vec));
            missing -= 1;
        });
        assert!(missing < before, "complete() returned without an outcome");
    }
    dma.complete(&mut |id, _| panic!("read {id} ended twice"));
    outcomes.into_iter().map(Option::unwrap).collect()
}

/// Loopback addresses of the adapter (or target) and of the client of one test; another run of the tests on this machine has others.
fn addresses(test: u8) -> (Ipv4Addr, Ipv4Addr) {
    let run = (std::process::id() % 250) as u8;
    (
        Ipv4Addr::new(127, 77, run, test),
        Ipv4Addr::new(127, 78, run, test),
    )
}
