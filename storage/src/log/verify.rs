//! Reading segments and checking their records, on a thread of its own ahead of whoever takes
//! account of them.
//!
//! **Invariants:** records come in the order of the log, each verified and continuing the chain of
//! its segment; no more than a few windows are ahead; nothing is written.

use super::error::LogError;
use super::frame::{Frame, HEAD_BYTES, is_zero};
use super::record::Kind;
use super::segment::{HEADER_BYTES, Header, Segment, damage, segment_path};
use super::walk::{Step, Walk};
use crate::disk::Disk;
use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

/// How much of a segment is read at once: little enough to stay in the processor's cache between
/// reading and checking, and in memory that the kernel need not clear for every segment.
const WINDOW_BYTES_MAX: usize = 1 << 20;
/// Small segments, such as those of tests, are read in several windows too.
const WINDOWS_PER_SEGMENT: u64 = 64;
/// Windows that may wait to be taken account of.
pub(super) const WINDOWS_AHEAD: usize = 2;

/// What reading a log yields, in order.
pub(super) enum Found {
    /// A segment begins.
    Segment(Segment),
    Records(Window),
    /// The segment ended properly; another one follows.
    End {
        chain: u32,
    },
    /// No record verifies at this place, and nothing behind it was looked at.
    Stop {
        at: usize,
        chain: u32,
    },
}

/// A part of a segment in memory. Its buffer is used again unless a visitor keeps a part of it.
#[derive(Default)]
pub(super) struct Window {
    /// Where in the segment it begins.
    pub(super) start: usize,
    pub(super) bytes: Bytes,
    /// Where in the segment each record begins, the mark of its end included.
    pub(super) frames: Vec<(usize, Frame)>,
    /// Whether the segment ends with it.
    is_last: bool,
}

/// Reads segments until the log ends, or nobody wants to know more.
pub(super) fn read_all(
    disk: &dyn Disk,
    dir: &str,
    sequences: &[u64],
    found: &SyncSender<Result<Found, LogError>>,
    spent: &Receiver<Window>,
) {
    for sequence in sequences {
        let segment = match open(disk, dir, *sequence) {
            Ok(segment) => segment,
            Err(error) => return drop(found.send(Err(error))),
        };
        let file =
            Segment { path: segment.path.clone(), file: Arc::clone(&segment.file), ..segment };
        if found.send(Ok(Found::Segment(segment))).is_err() {
            return;
        }
        let Some(last) = read_segment(&file, found, spent) else { return };
        let another_follows = matches!(last, Ok(Found::End { .. }));
        if found.send(last).is_err() || !another_follows {
            return;
        }
    }
}

/// Reads one segment up to its end, or to where no record verifies; `None` when nobody listens.
fn read_segment(
    segment: &Segment,
    found: &SyncSender<Result<Found, LogError>>,
    spent: &Receiver<Window>,
) -> Option<Result<Found, LogError>> {
    let header = &segment.header;
    let window_bytes = usize::try_from(header.file_bytes / WINDOWS_PER_SEGMENT);
    let window_bytes = window_bytes.unwrap_or(usize::MAX).clamp(HEAD_BYTES, WINDOW_BYTES_MAX);
    let (mut at, mut chain) = (HEADER_BYTES, header.seed);
    let mut wanted = window_bytes;
    loop {
        let mut window = spent.try_recv().unwrap_or_default();
        if let Err(error) = window.read(segment, at, wanted) {
            return Some(Err(error));
        }
        let mut walk = Walk::from(&window.bytes, at, header, chain);
        let mut ended = false;
        while let Step::Frame { offset, frame } | Step::End { offset, frame } = walk.step() {
            window.frames.push((offset, frame));
            ended = frame.head.label.kind == Kind::SegmentEnd;
            if ended {
                break;
            }
        }
        wanted = if walk.at == at { wanted.saturating_mul(2) } else { window_bytes };
        let is_cut = !ended && !window.is_last && walk.is_cut();
        (at, chain) = (walk.at, walk.chain());
        if found.send(Ok(Found::Records(window))).is_err() {
            return None;
        }
        if ended {
            return Some(Ok(Found::End { chain }));
        }
        if !is_cut {
            return Some(Ok(Found::Stop { at, chain }));
        }
    }
}

impl Window {
    fn read(&mut self, segment: &Segment, start: usize, wanted: usize) -> Result<(), LogError> {
        let failed = |source| LogError::Io { file: segment.path.clone(), source };
        let end = usize::try_from(segment.header.file_bytes).map_err(io::Error::other);
        let wanted = wanted.min(end.map_err(failed)?.saturating_sub(start));
        let mut buffer = std::mem::take(&mut self.bytes).try_into_mut().unwrap_or_default();
        if buffer.capacity() < wanted {
            buffer = BytesMut::zeroed(wanted);
        }
        buffer.resize(wanted, 0);
        let read = segment.file.read_full_at(start as u64, &mut buffer).map_err(failed)?;
        buffer.truncate(read);
        let rest = segment.header.file_bytes.saturating_sub((start + read) as u64);
        self.start = start;
        self.bytes = buffer.freeze();
        self.frames.clear();
        self.is_last = rest == 0 || read < wanted;
        Ok(())
    }
}

/// Whether the segment holds nothing but zeros from here on.
pub(super) fn is_zero_from(segment: &Segment, from: usize) -> Result<bool, LogError> {
    let mut window = Window::default();
    let mut at = from;
    loop {
        window.read(segment, at, WINDOW_BYTES_MAX)?;
        if !is_zero(&window.bytes) || window.is_last {
            return Ok(is_zero(&window.bytes));
        }
        at += window.bytes.len();
    }
}

/// Opens a segment and reads its header.
fn open(disk: &dyn Disk, dir: &str, sequence: u64) -> Result<Segment, LogError> {
    let path = segment_path(dir, sequence);
    let failed = |source| LogError::Io { file: path.clone(), source };
    let file = disk.open(&path).map_err(failed)?;
    let file_bytes = file.len().map_err(failed)?;
    let mut bytes = [0; HEADER_BYTES];
    let read = file.read_full_at(0, &mut bytes).map_err(failed)?;
    let header = Header::decode(&path, bytes.get(..read).unwrap_or_default(), file_bytes)?;
    if header.sequence != sequence {
        let reason = format!("the file holds segment {}", header.sequence);
        return Err(damage(&path, 0, &reason));
    }
    Ok(Segment { header, path, file: Arc::from(file) })
}

/// Opens a segment and reads all of it.
pub(super) fn load(
    disk: &dyn Disk,
    dir: &str,
    sequence: u64,
) -> Result<(Segment, Bytes), LogError> {
    let segment = open(disk, dir, sequence)?;
    let failed = |source| LogError::Io { file: segment.path.clone(), source };
    let bytes = usize::try_from(segment.header.file_bytes).map_err(io::Error::other);
    let mut bytes = BytesMut::zeroed(bytes.map_err(failed)?);
    let read = segment.file.read_full_at(0, &mut bytes).map_err(failed)?;
    bytes.truncate(read);
    Ok((segment, bytes.freeze()))
}
