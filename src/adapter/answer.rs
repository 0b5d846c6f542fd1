//! From a datagram's bytes to the datagrams that answer it; no sockets, no clock.

use std::sync::Arc;

use crate::addr::PhysAddr;
use crate::memory::ReadFailure;
use crate::wire::memory_write::MemoryWriteRepr;
use crate::wire::{
    CompletionRepr, CompletionStatus, ConfigurationCommand, ConfigurationPacket, ConfigurationRepr,
    MAX_DATAGRAM, MSIX_ENTRIES, MemoryReadRepr, MessageReply, MessageRequest, MsixEntry,
    NettlpPacket, NettlpRepr, RequestPacket, RequesterId, Span, Tag, TlpKind, WireError,
    split_completion,
};

use super::configuration::{BAR4, ConfigurationSpace};
use super::tally::{Tally, add, count};
use super::{AdapterOptions, Backing};

/// Takes one datagram to send: the tag that says from and to which port, and the bytes, with room for the NetTLP header.
pub(super) type Emit<'a> = dyn FnMut(Tag, &mut [u8]) + 'a;

/// Longest request in bytes of memory.
const LONGEST: usize = 4096;
/// Room before the bytes read, for headers and for up to three bytes of padding.
const HEADERS: usize = NettlpRepr::LENGTH + CompletionRepr::HEADER;

/// The card, the slot and the memory behind it.
#[derive(Debug)]
pub(super) struct Responder {
    backing: Backing,
    configuration: ConfigurationSpace,
    requester: Option<RequesterId>,
    boundary: u32,
    max_payload: u32,
    tally: Arc<Tally>,
    memory: Box<[u8; LONGEST]>,
    datagram: Box<[u8; MAX_DATAGRAM]>,
}

/// Why there is no answer.
enum Silence {
    Crossing,
    Malformed,
    Misrouted,
}

impl Responder {
    pub(super) fn new(options: &AdapterOptions, backing: Backing, tally: Arc<Tally>) -> Self {
        Self {
            backing,
            configuration: ConfigurationSpace::new(options),
            requester: options.requester,
            boundary: options.boundary,
            max_payload: options.max_payload,
            tally,
            memory: Box::new([0; LONGEST]),
            datagram: Box::new([0; MAX_DATAGRAM]),
        }
    }

    /// Carries out a TLP and emits its completions.
    pub(super) fn tlp(&mut self, datagram: &[u8], emit: &mut Emit<'_>) {
        let silence = match self.try_tlp(datagram, emit) {
            Ok(()) => return,
            Err(silence) => silence,
        };
        count(match silence {
            Silence::Crossing => &self.tally.crossings,
            Silence::Malformed => &self.tally.malformed,
            Silence::Misrouted => &self.tally.misrouted,
        });
    }

    fn try_tlp(&mut self, datagram: &[u8], emit: &mut Emit<'_>) -> Result<(), Silence> {
        let malformed = |_| Silence::Malformed;
        let nettlp = NettlpPacket::new(datagram).map_err(malformed)?;
        let packet = RequestPacket::new(nettlp.tlp()).map_err(malformed)?;
        match packet.tlp().kind() {
            TlpKind::MemoryRead => self.read(&packet, emit),
            TlpKind::MemoryWrite => self.write(&packet),
            _ => Err(Silence::Malformed),
        }
    }

    fn read(&mut self, packet: &RequestPacket<&[u8]>, emit: &mut Emit<'_>) -> Result<(), Silence> {
        let (requester, tag) = (packet.requester(), packet.tag());
        if self.requester.is_some_and(|ours| ours != requester) {
            return Err(Silence::Misrouted);
        }
        let fail = |span: &Span, status| CompletionRepr {
            completer: ROOT_COMPLEX,
            requester,
            tag,
            status,
            byte_count: span.byte_count().clamp(1, LONGEST as u32) as u16,
            lower_address: (span.first_byte().get() & 0x7f) as u8,
            dwords: 0,
            poisoned: false,
        };
        let request = match MemoryReadRepr::parse(packet) {
            Ok(request) => request,
            Err(problem) => {
                return match verdict(&problem) {
                    Verdict::Silence(silence) => Err(silence),
                    Verdict::Unsupported => {
                        let span = packet.span();
                        self.send_failure(&fail(&span, CompletionStatus::UnsupportedRequest), emit);
                        Ok(())
                    }
                };
            }
        };
        match self.load(&request.span) {
            Ok(()) => self.send_data(&request, false, emit),
            Err(ReadFailure::Poisoned) => self.send_data(&request, true, emit),
            Err(
                ReadFailure::NotInRamMap
                | ReadFailure::NotInImage
                | ReadFailure::NotRecorded
                | ReadFailure::UnsupportedRequest,
            ) => {
                self.send_failure(
                    &fail(&request.span, CompletionStatus::UnsupportedRequest),
                    emit,
                );
            }
            Err(ReadFailure::CompleterAbort) => {
                self.send_failure(&fail(&request.span, CompletionStatus::CompleterAbort), emit);
            }
            Err(ReadFailure::TimedOut | ReadFailure::Transport | ReadFailure::NotIssued) => {
                count(&self.tally.unanswered);
            }
        }
        Ok(())
    }

    /// Reads all double words of `span` whose bytes are asked for; a zero-length request only looks whether memory is there.
    fn load(&mut self, span: &Span) -> Result<(), ReadFailure> {
        let (start, length) = (span.first_byte(), span.byte_count() as usize);
        let bytes = self.memory.get_mut(..length).unwrap_or_default();
        let outcome = self.backing.read(start, bytes);
        // What the memory did not give must not be what an earlier read has left here.
        if outcome.is_err() || span.is_flush() {
            bytes.fill(0);
        }
        outcome
    }

    /// Sends what [`Responder::load`] read, in completions.
    fn send_data(&mut self, request: &MemoryReadRepr, poisoned: bool, emit: &mut Emit<'_>) {
        let start = request.span.first_byte().get();
        for piece in split_completion(&request.span, self.boundary, self.max_payload) {
            let repr = CompletionRepr {
                completer: ROOT_COMPLEX,
                requester: request.requester,
                tag: request.tag,
                status: CompletionStatus::Success,
                byte_count: piece.byte_count,
                lower_address: piece.lower_address(),
                dwords: piece.dwords,
                poisoned,
            };
            let from = (piece.address.get() - start) as usize;
            let bytes = self.memory.get(from..from + usize::from(piece.length));
            let length = HEADERS + usize::from(piece.dwords) * 4;
            let (Some(bytes), Some(datagram)) = (bytes, self.datagram.get_mut(..length)) else {
                return;
            };
            let (headers, data) = datagram.split_at_mut(HEADERS);
            if repr.emit(&mut headers[NettlpRepr::LENGTH..]).is_err() {
                return;
            }
            data.fill(0);
            let skipped = (piece.address.get() & 3) as usize;
            if let Some(place) = data.get_mut(skipped..skipped + bytes.len()) {
                place.copy_from_slice(bytes);
            }
            emit(request.tag, datagram);
            count(&self.tally.completions);
        }
        count(&self.tally.reads);
        add(&self.tally.bytes, u64::from(request.span.byte_count()));
    }

    fn send_failure(&mut self, repr: &CompletionRepr, emit: &mut Emit<'_>) {
        let Some(datagram) = self.datagram.get_mut(..HEADERS) else {
            return;
        };
        if repr.emit(&mut datagram[NettlpRepr::LENGTH..]).is_err() {
            return;
        }
        emit(repr.tag, datagram);
        count(&self.tally.completions);
        count(match repr.status {
            CompletionStatus::CompleterAbort => &self.tally.aborted,
            _ => &self.tally.unsupported,
        });
    }

    /// Writes the enabled bytes, run by run. A write has no answer, whatever becomes of it.
    fn write(&mut self, packet: &RequestPacket<&[u8]>) -> Result<(), Silence> {
        let request = match MemoryWriteRepr::parse(packet) {
            Ok(request) => request,
            Err(problem) => {
                return match verdict(&problem) {
                    Verdict::Silence(silence) => Err(silence),
                    Verdict::Unsupported => {
                        count(&self.tally.writes_ignored);
                        Ok(())
                    }
                };
            }
        };
        let span = &request.span;
        let data = packet.tlp().payload();
        let enabled: Vec<bool> = (0..u32::from(span.dwords) * 4)
            .map(|offset| span.enables_byte(offset))
            .collect();
        let mut offset = 0;
        let mut written = true;
        for run in enabled.chunk_by(|left, right| left == right) {
            let at = offset..offset + run.len();
            offset = at.end;
            if run.first() == Some(&true)
                && let Some(bytes) = data.get(at.clone())
            {
                let address = PhysAddr::new(span.address.get().wrapping_add(at.start as u64));
                written &= self.backing.write(address, bytes);
            }
        }
        count(if written {
            &self.tally.writes
        } else {
            &self.tally.writes_ignored
        });
        Ok(())
    }

    /// Carries out a configuration packet; a read gives the bytes to answer with.
    pub(super) fn configuration(
        &mut self,
        datagram: &[u8],
    ) -> Option<[u8; ConfigurationRepr::LENGTH]> {
        let parsed =
            ConfigurationPacket::new(datagram).and_then(|packet| ConfigurationRepr::parse(&packet));
        let Ok(packet) = parsed else {
            count(&self.tally.malformed);
            return None;
        };
        count(match packet.command {
            ConfigurationCommand::Read => &self.tally.configuration_reads,
            ConfigurationCommand::Write => &self.tally.configuration_writes,
        });
        let mut bytes = [0; ConfigurationRepr::LENGTH];
        self.configuration.handle(&packet)?.emit(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Answers a question of the message API.
    pub(super) fn message(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        let Ok(request) = MessageRequest::parse(datagram) else {
            count(&self.tally.malformed);
            return None;
        };
        let reply = match request {
            MessageRequest::Bar4 => MessageReply::Bar4(BAR4),
            MessageRequest::RequesterId => {
                MessageReply::RequesterId(self.requester.unwrap_or(AdapterOptions::USUAL_REQUESTER))
            }
            MessageRequest::Msix => MessageReply::Msix(Box::new(msix_table())),
        };
        let mut bytes = vec![0; request.reply_length()];
        reply.emit(&mut bytes).ok()?;
        count(&self.tally.messages);
        Some(bytes)
    }
}

/// Who completes reads of memory.
const ROOT_COMPLEX: RequesterId = RequesterId::from_bits(0);

/// The vectors as Linux lays them out: to the local APIC of processor 0, one vector each.
fn msix_table() -> [MsixEntry; MSIX_ENTRIES] {
    std::array::from_fn(|index| MsixEntry {
        address: 0xfee0_0000,
        data: 0x4021 + index as u32,
    })
}

/// What a root complex does with a request that is not as it should be.
enum Verdict {
    /// Answers that nothing supports it.
    Unsupported,
    /// Discards it as malformed (PCI Express Base Specification, 2.3.1): no completion.
    Silence(Silence),
}

fn verdict(problem: &WireError) -> Verdict {
    match problem {
        // An address type that the root complex does not offer, and an address in the wrong form, reach nothing.
        WireError::AddressType(_) | WireError::LongHeader(_) => Verdict::Unsupported,
        WireError::CrossesPage { .. } => Verdict::Silence(Silence::Crossing),
        _ => Verdict::Silence(Silence::Malformed),
    }
}

#[cfg(test)]
#[path = "tests_answer.rs"]
mod tests;
