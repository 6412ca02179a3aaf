//! Appending and syncing.
//!
//! **Invariants:**
//! - a batch is planned and encoded in memory first: a refusal changes nothing on disk;
//! - each segment touched gets one write;
//! - a roll makes the next segment durable, then writes and syncs the end of the full one, and only
//!   then writes into the next.

use super::error::{AppendError, Fatal};
use super::frame::{self, Head, PAYLOAD_BYTES_MAX, frame_bytes};
use super::index::{Gap, Place};
use super::record::{GroupId, Kind, Label, Record};
use super::segment::{HEADER_BYTES, Header, Segment};
use super::{Class, Log, Tail};
use crate::mutants::Mutant;
use crate::seal::Seal;
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// The end mark has no payload. Every segment keeps room for it.
pub(super) const END_BYTES: usize = frame_bytes(0);
/// A mask may make a payload longer.
const MASK_BYTES: usize = 8;
/// After an unusually large batch the buffer is given back.
const BUFFER_BYTES_MAX: usize = 8 << 20;

/// The part of a batch that goes into one segment.
struct Chunk {
    at: usize,
    bytes: Range<usize>,
    /// The segment that follows, if this part ends with the end mark.
    next: Option<Header>,
}

/// A batch, placed and encoded.
struct Plan {
    tail: Tail,
    chunks: Vec<Chunk>,
    places: Vec<Place>,
}

/// Places and encodes records behind each other.
struct Planner<'a> {
    buffer: &'a mut Vec<u8>,
    seal: Option<&'a dyn Seal>,
    segment_bytes: u64,
    log_id: u32,
    rolls_left: usize,
    tail: Tail,
    chunk_at: usize,
    chunk_start: usize,
    chunks: Vec<Chunk>,
}

impl Log {
    /// Appends records in order, all of them or (unless it is fatal) none. They are durable only
    /// after the next [`Log::sync`].
    ///
    /// A group's entries must be contiguous; anything else is a fatal error of the caller's.
    pub fn append(&mut self, records: &[Record], class: Class) -> Result<(), AppendError> {
        self.append_with(records, None, class)
    }

    /// As [`Log::append`], with the log's own note that segments before `trim_point` may be gone.
    pub(super) fn append_with(
        &mut self,
        records: &[Record],
        trim_point: Option<u64>,
        class: Class,
    ) -> Result<(), AppendError> {
        self.alive().map_err(AppendError::Fatal)?;
        if records.is_empty() && trim_point.is_none() {
            return Ok(());
        }
        let records = self.groups.with_truncations(records);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.shrink_to(BUFFER_BYTES_MAX);
        let planned = self.plan(&records, trim_point, class, &mut buffer);
        let done = planned.and_then(|plan| {
            self.carry_out(&records, plan, &buffer)
                .map_err(|fatal| AppendError::Fatal(self.fatal(fatal)))
        });
        self.buffer = buffer;
        done
    }

    /// Makes everything appended so far durable. A failure means that the process must abort.
    pub fn sync(&mut self) -> Result<(), Fatal> {
        self.alive()?;
        if !self.unsynced {
            return Ok(());
        }
        let synced = self.segments.back().map_or(Ok(()), sync_segment);
        synced.map_err(|fatal| self.fatal(fatal))?;
        self.stats.syncs += 1;
        self.tail.epoch = self.tail.epoch.saturating_add(1);
        self.tail.synced = self.tail.at;
        self.unsynced = false;
        Ok(())
    }

    fn plan(
        &self,
        records: &[Record],
        trim_point: Option<u64>,
        class: Class,
        buffer: &mut Vec<u8>,
    ) -> Result<Plan, AppendError> {
        let rolls_left = match class {
            Class::Client => self.spares.len().checked_sub(1).ok_or(AppendError::NoSpace)?,
            Class::Essential => self.spares.len(),
        };
        let mut planner = Planner {
            buffer,
            seal: self.options.seal.as_deref(),
            segment_bytes: self.options.segment_bytes,
            log_id: self.log_id,
            rolls_left,
            tail: self.tail,
            chunk_at: self.tail.at,
            chunk_start: 0,
            chunks: Vec::new(),
        };
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            places.push(planner.put(record.label(), record.payload())?);
        }
        if let Some(index) = trim_point {
            let label = Label { kind: Kind::TrimPoint, group: GroupId(0), term: 0, index };
            planner.put(label, Bytes::new())?;
        }
        planner.close_chunk(None);
        Ok(Plan { tail: planner.tail, chunks: planner.chunks, places })
    }

    fn carry_out(&mut self, records: &[Record], plan: Plan, buffer: &[u8]) -> Result<(), Fatal> {
        for (record, place) in records.iter().zip(plan.places) {
            self.groups.apply(record, place).map_err(|gap| {
                let Gap { group, expected, found } = gap;
                Fatal::NotContiguous { group, expected, found }
            })?;
        }
        let mut rolled = false;
        for chunk in plan.chunks {
            let next = chunk.next.map(|header| self.next_segment(header)).transpose()?;
            let Some(current) = self.segments.back() else {
                unreachable!("an open log has a segment");
            };
            let bytes = buffer.get(chunk.bytes).unwrap_or_default();
            current
                .file
                .write_at(chunk.at as u64, bytes)
                .map_err(|source| Fatal::Write { file: current.path.clone(), source })?;
            if let Some(next) = next {
                if !Mutant::TailLostOnRoll.is_planted() {
                    sync_segment(current)?;
                }
                rolled = true;
                self.stats.syncs += 1;
                self.segments.push_back(next);
            }
        }
        self.tail = plan.tail;
        self.unsynced = !(rolled && Mutant::RollCountsAsSync.is_planted());
        self.stats.records += records.len() as u64;
        self.stats.record_bytes += buffer.len() as u64;
        Ok(())
    }

    /// Gives the next spare its header and its name.
    pub(super) fn next_segment(&mut self, header: Header) -> Result<Segment, Fatal> {
        let path = super::segment::segment_path(&self.dir, header.sequence);
        let Some(spare) = self.spares.pop_front() else {
            let source = io::Error::from(io::ErrorKind::StorageFull);
            return Err(Fatal::Roll { file: path, source });
        };
        spare
            .into_segment(self.disk.as_ref(), &self.dir, header)
            .map_err(|source| Fatal::Roll { file: path, source })
    }
}

fn sync_segment(segment: &Segment) -> Result<(), Fatal> {
    let file = Arc::clone(&segment.file);
    file.sync().map_err(|source| Fatal::Sync { file: segment.path.clone(), source })
}

impl Planner<'_> {
    fn put(&mut self, label: Label, payload: Bytes) -> Result<Place, AppendError> {
        let payload = match self.seal {
            Some(seal) if !payload.is_empty() => {
                let sealed = seal.seal(&label.associated_data(), &payload);
                sealed.map_err(AppendError::Seal)?.into()
            }
            _ => payload,
        };
        self.make_room(payload.len())?;
        let (stored, masked) = frame::storable(&payload, self.tail.at);
        let place = Place {
            segment: self.tail.segment,
            offset: narrow(self.tail.at),
            bytes: narrow(frame_bytes(stored.len())),
        };
        self.encode(label, &stored, masked);
        Ok(place)
    }

    /// Rolls if a payload of this size does not fit where the tail is.
    fn make_room(&mut self, payload_bytes: usize) -> Result<(), AppendError> {
        let segment_bytes = usize::try_from(self.segment_bytes).unwrap_or(usize::MAX);
        let around = HEADER_BYTES + END_BYTES + frame_bytes(MASK_BYTES);
        let max = segment_bytes.saturating_sub(around).min(PAYLOAD_BYTES_MAX - MASK_BYTES);
        if payload_bytes > max {
            return Err(AppendError::TooLarge { bytes: payload_bytes, max });
        }
        let needed = frame_bytes(payload_bytes + MASK_BYTES) + END_BYTES;
        if !self.tail.closed && self.tail.at + needed <= self.tail.limit {
            return Ok(());
        }
        self.rolls_left = self.rolls_left.checked_sub(1).ok_or(AppendError::NoSpace)?;
        let index = self.tail.segment;
        let end = Label { kind: Kind::SegmentEnd, group: GroupId(0), term: 0, index };
        self.encode(end, &[], false);
        let header = Header {
            sequence: self.tail.segment.saturating_add(1),
            file_bytes: self.segment_bytes,
            // The roll syncs, which completes an epoch.
            epoch: self.tail.epoch.saturating_add(1),
            seed: self.tail.chain,
            log_id: self.log_id,
            sealed: self.seal.is_some(),
        };
        self.close_chunk(Some(header));
        self.tail = Tail::start_of(&header);
        self.chunk_at = self.tail.at;
        Ok(())
    }

    fn encode(&mut self, label: Label, stored: &[u8], masked: bool) {
        let tail = &mut self.tail;
        let (payload_bytes, synced) = (stored.len(), narrow(tail.synced));
        let head = Head { label, payload_bytes, masked, synced, epoch: tail.epoch };
        let salt = frame::salt(tail.seed, narrow(tail.at));
        tail.chain = frame::encode(self.buffer, &head, stored, salt, tail.chain);
        tail.at += head.frame_bytes();
    }

    fn close_chunk(&mut self, next: Option<Header>) {
        let bytes = self.chunk_start..self.buffer.len();
        self.chunk_start = bytes.end;
        self.chunks.push(Chunk { at: self.chunk_at, bytes, next });
    }
}

impl Tail {
    /// The tail of a segment without records.
    pub(super) fn start_of(header: &Header) -> Self {
        Self {
            segment: header.sequence,
            seed: header.seed,
            at: HEADER_BYTES,
            limit: usize::try_from(header.file_bytes).unwrap_or(usize::MAX),
            chain: header.seed,
            epoch: header.epoch,
            synced: HEADER_BYTES,
            closed: false,
        }
    }
}

/// Offsets and sizes within a segment, which is far smaller than 4 GiB.
pub(super) fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
