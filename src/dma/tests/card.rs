//! Questions about the card, against small servers that lose the first of every two questions.

use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use crate::dma::{ConfigurationSpace, DmaError, LinkParameters, bar4, msix, requester_id};
use crate::wire::*;

/// Long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The addresses of one test as the questions take them: target or adapter, and client.
fn addresses(test: u8) -> (IpAddr, Option<IpAddr>) {
    let (remote, local) = super::addresses(100 + test);
    (IpAddr::V4(remote), Some(IpAddr::V4(local)))
}

/// Answers every second datagram at a port, until the test ends.
fn serve(address: IpAddr, port: u16, answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) {
    let socket = UdpSocket::bind((address, port)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        let mut count = 0;
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            count += 1;
            if count % 2 == 0 {
                for reply in answer(&buffer[..length]) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        }
    });
}

#[test]
fn the_driver_s_answers_are_understood() {
    let (remote, local) = addresses(1);
    serve(remote, MESSAGE_PORT, |question| {
        let mut reply = vec![0; 192];
        let mut entries = [MsixEntry::default(); MSIX_ENTRIES];
        entries[15].data = 0x4041;
        let answer = match MessageRequest::parse(question).unwrap() {
            MessageRequest::Bar4 => MessageReply::Bar4(0xf7c0_0000),
            MessageRequest::RequesterId => {
                MessageReply::RequesterId(RequesterId::from_bits(0x1b00))
            }
            MessageRequest::Msix => MessageReply::Msix(Box::new(entries)),
        };
        let length = answer.emit(&mut reply).unwrap();
        reply.truncate(length);
        vec![reply]
    });
    let id = requester_id(remote, local, TIMEOUT).unwrap();
    assert_eq!(id.to_string(), "1b:00.0");
    assert_eq!(bar4(remote, local, TIMEOUT).unwrap(), 0xf7c0_0000);
    assert_eq!(msix(remote, local, TIMEOUT).unwrap()[15].data, 0x4041);
}

#[test]
fn a_driver_that_is_not_loaded_is_told_apart_from_one_that_says_nothing_or_nonsense() {
    let (remote, local) = addresses(2);
    let error = requester_id(remote, local, TIMEOUT).unwrap_err();
    assert!(matches!(error, DmaError::NobodyThere { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("nothing listens at {remote}:12287 to answer for the requester ID")
    );

    let (remote, local) = addresses(3);
    let _silent = UdpSocket::bind((remote, MESSAGE_PORT)).unwrap();
    let error = bar4(remote, local, Duration::from_millis(170)).unwrap_err();
    assert!(
        matches!(error, DmaError::NoAnswer { tries: 2.., .. }),
        "{error:?}"
    );

    let (remote, local) = addresses(4);
    serve(remote, MESSAGE_PORT, |_| vec![vec![0; 7]]);
    let error = bar4(remote, local, TIMEOUT).unwrap_err();
    assert!(
        matches!(
            error,
            DmaError::BadAnswer {
                source: WireError::MessageReply {
                    need: 8,
                    have: 7,
                    ..
                },
                ..
            }
        ),
        "{error:?}"
    );
}

/// Serves these double words as a configuration space; each answer comes after a late copy of another's.
fn serve_configuration(address: IpAddr, dwords: &[(u16, u32)]) {
    let dwords: HashMap<u16, u32> = dwords.iter().copied().collect();
    serve(address, CONFIGURATION_PORT, move |question| {
        let packet = ConfigurationPacket::new(question).unwrap();
        let mut answer = ConfigurationRepr::parse(&packet).unwrap();
        assert_eq!(answer.command, ConfigurationCommand::Read);
        answer.data = dwords.get(&answer.dword_address).copied().unwrap_or(0);
        let stale = ConfigurationRepr {
            dword_address: answer.dword_address ^ 1,
            data: 0xffff_ffff,
            ..answer
        };
        [stale, answer]
            .iter()
            .map(|repr| {
                let mut reply = vec![0; 6];
                repr.emit(&mut reply).unwrap();
                reply
            })
            .collect()
    });
}

#[test]
fn link_parameters_are_read_from_the_express_capability() {
    let (remote, local) = addresses(5);
    // Power management at 0x40, message interrupts at 0x48, PCI Express at 0x60.
    serve_configuration(
        remote,
        &[
            (0, 0x7022_3776),
            (1, 0x0010_0406),
            (13, 0x40),
            (0x40 / 4, 0x0003_4801),
            (0x48 / 4, 0x0080_6005),
            (0x60 / 4, 0x0002_0010),
            (0x68 / 4, 0x0000_2130),
            (0x70 / 4, 0x1042_0008),
        ],
    );
    let space = ConfigurationSpace::open(remote, local, TIMEOUT).unwrap();
    assert_eq!(space.read(0).unwrap(), 0x7022_3776);
    assert_eq!(
        space.link_parameters().unwrap(),
        LinkParameters {
            max_read: 512,
            max_payload: 256,
            extended_tags: true,
            completion_boundary: 128,
            bus_master: true,
        }
    );
    assert!(matches!(
        space.read(1024),
        Err(DmaError::BadAnswer {
            source: WireError::ConfigurationAddress(1024),
            ..
        })
    ));
}

#[test]
fn a_list_of_capabilities_that_goes_in_circles_ends() {
    let (remote, local) = addresses(6);
    let circle = [
        (1, 0x0010_0406),
        (13, 0x40),
        (0x40 / 4, 0x4401),
        (0x44 / 4, 0x4005),
    ];
    serve_configuration(remote, &circle);
    let space = ConfigurationSpace::open(remote, local, Duration::from_secs(20)).unwrap();
    let error = space.express_capability_end();
    assert!(matches!(
        error,
        DmaError::NoExpressCapability {
            at: 0x40 | 0x44,
            ..
        }
    ));

    let (remote, local) = addresses(7);
    serve_configuration(remote, &[(1, 0x0000_0406), (13, 0x40), (16, 0x10)]);
    let space = ConfigurationSpace::open(remote, local, TIMEOUT).unwrap();
    let error = space.express_capability_end();
    assert!(matches!(error, DmaError::NoExpressCapability { at: 0, .. }));
}

#[test]
fn a_configuration_port_that_is_taken_is_named() {
    let (remote, local) = addresses(8);
    let _other = ConfigurationSpace::open(remote, local, TIMEOUT).unwrap();
    let error = ConfigurationSpace::open(remote, local, TIMEOUT).unwrap_err();
    assert!(matches!(
        error,
        DmaError::ConfigurationPortTaken { port: 0x5001, .. }
    ));
}

impl ConfigurationSpace {
    /// Why there are no link parameters.
    fn express_capability_end(&self) -> DmaError {
        self.link_parameters().unwrap_err()
    }
}
