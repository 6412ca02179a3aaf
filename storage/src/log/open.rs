//! The part of opening a log that changes the disk: cutting, making durable, allocating.
//!
//! **Invariants:** it starts only when all records were read and found sound, and a crash at any
//! point leaves a log that opens with the same records.

use super::error::LogError;
use super::recovery::{Recovery, Scan, Visit, check_options};
use super::segment::{
    FIRST_SEQUENCE, HEADER_BYTES, Header, Segment, Spare, damage, is_spare, segment_path,
    sequence_of, spare_number,
};
use super::{Log, LogOptions, LogStats, SPARES_WANTED, Tail};
use crate::disk::Disk;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

impl Log {
    /// Opens the log in a folder, or creates it. Every record that survived is given to `visit`, in
    /// the order of appending; then the log accepts more.
    ///
    /// With too little space for spares it opens all the same, if there is a segment to write to.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &str,
        options: LogOptions,
        visit: Visit<'_>,
    ) -> Result<(Self, Recovery), LogError> {
        check_options(&options)?;
        let failed = |source| LogError::Io { file: dir.to_owned(), source };
        make_dir(disk.as_ref(), dir).map_err(failed)?;
        let names = disk.list(dir).map_err(failed)?;
        let sequences: Vec<_> = names.iter().filter_map(|name| sequence_of(name)).collect();
        check_gaps(dir, &sequences)?;
        let mut scan = Scan::new(disk.as_ref(), dir, options.seal.as_deref());
        scan.run(&sequences, visit)?;
        let created = Header {
            sequence: FIRST_SEQUENCE,
            file_bytes: 0,
            epoch: 1,
            seed: options.seed,
            log_id: options.seed,
            sealed: options.seal.is_some(),
        };
        let tail = scan.tail.unwrap_or_else(|| Tail::start_of(&created));
        repair(disk.as_ref(), dir, &scan, &tail)?;
        let Scan { groups, segments, recovery, .. } = scan;
        let header = segments.back().map_or(created, |segment| segment.header);
        let closed = header.sealed != options.seal.is_some();
        let mut log = Self {
            disk,
            dir: dir.to_owned(),
            options,
            log_id: header.log_id,
            segments,
            tail: Tail { closed, ..tail },
            spares: VecDeque::new(),
            next_spare: 0,
            groups,
            buffer: Vec::new(),
            stats: LogStats::default(),
            unsynced: false,
            dead: false,
        };
        log.adopt_spares(&names).map_err(failed)?;
        log.allocate_spares(&created)?;
        Ok((log, recovery))
    }

    /// Takes up the spares that an earlier process left, and removes what is of no use.
    fn adopt_spares(&mut self, names: &[String]) -> io::Result<()> {
        for name in names.iter().filter(|name| is_spare(name)) {
            let path = format!("{}/{name}", self.dir);
            let number = spare_number(name);
            self.next_spare = self.next_spare.max(number.map_or(0, |number| number + 1));
            let adopted = match number {
                Some(_) => {
                    Spare::adopt(self.disk.as_ref(), path.clone(), self.options.segment_bytes)?
                }
                None => None,
            };
            match adopted {
                Some(spare) => self.spares.push_back(spare),
                None => self.disk.remove(&path)?,
            }
        }
        Ok(())
    }

    /// Allocates the spares that are missing, and the first segment of a new log.
    fn allocate_spares(&mut self, created: &Header) -> Result<(), LogError> {
        while self.spares.len() < SPARES_WANTED || self.segments.is_empty() {
            if self.segments.is_empty() && !self.spares.is_empty() {
                let header = Header { file_bytes: self.options.segment_bytes, ..*created };
                let segment = self.next_segment(header)?;
                self.tail = Tail::start_of(&header);
                self.segments.push_back(segment);
                continue;
            }
            let request = self.spare_request();
            match request.allocate(self.disk.as_ref()) {
                Ok(spare) => self.spares.push_back(spare),
                Err(error) if !self.segments.is_empty() => {
                    tracing::warn!(%error, "no space for a spare log segment");
                    break;
                }
                Err(source) => {
                    let file = segment_path(&self.dir, created.sequence);
                    return Err(LogError::Io { file, source });
                }
            }
        }
        Ok(())
    }
}

/// Creates the folder durably.
fn make_dir(disk: &dyn Disk, dir: &str) -> io::Result<()> {
    disk.create_dir_all(dir)?;
    let mut inner = dir;
    while let Some((outer, _)) = inner.rsplit_once('/') {
        disk.sync_dir(outer)?;
        inner = outer;
    }
    disk.sync_dir("")
}

/// Segments are removed from the oldest on, one at a time, so none is ever missing in between.
fn check_gaps(dir: &str, sequences: &[u64]) -> Result<(), LogError> {
    for (before, after) in sequences.iter().zip(sequences.iter().skip(1)) {
        if *after != before + 1 {
            let file = segment_path(dir, before + 1);
            return Err(damage(&file, 0, "the segment file is missing"));
        }
    }
    Ok(())
}

/// Cuts a torn tail, removes a segment that was put in place but never used, and writes again what
/// may not be durable.
fn repair(disk: &dyn Disk, dir: &str, scan: &Scan<'_>, tail: &Tail) -> Result<(), LogError> {
    let failed = |file: &str, source| LogError::Io { file: file.to_owned(), source };
    if let Some(sequence) = scan.blank {
        let path = segment_path(dir, sequence);
        disk.remove(&path).map_err(|source| failed(&path, source))?;
    }
    let Some(last) = scan.segments.back() else {
        return Ok(());
    };
    let last_sequence = last.header.sequence;
    let mut kept = tail.at..tail.at;
    if let Some((sequence, range)) = &scan.doubtful {
        if *sequence == last_sequence {
            kept.start = range.start.min(tail.at);
        } else if let Some(before) =
            scan.segments.iter().find(|segment| segment.header.sequence == *sequence)
        {
            rewrite(before, range.clone(), range.end)
                .and_then(|()| before.file.sync())
                .map_err(|source| failed(&before.path, source))?;
        }
    }
    let torn = scan.recovery.torn.as_ref().map_or(0, |torn| torn.bytes);
    let end = usize::try_from(torn).map_or(tail.at, |torn| tail.at + torn);
    rewrite(last, 0..HEADER_BYTES, HEADER_BYTES)
        .and_then(|()| rewrite(last, kept, end))
        .and_then(|()| last.file.sync())
        .map_err(|source| failed(&last.path, source))?;
    disk.sync_dir(dir).map_err(|source| failed(dir, source))
}

/// Writes the bytes of a range again as they are, and zeros from its end up to `end`.
fn rewrite(segment: &Segment, range: Range<usize>, end: usize) -> io::Result<()> {
    let mut bytes = vec![0; range.len()];
    segment.file.read_full_at(range.start as u64, &mut bytes)?;
    bytes.resize(bytes.len() + end.saturating_sub(range.end), 0);
    segment.file.write_at(range.start as u64, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::frame::{self, Head};
    use crate::log::record::{Kind, Label};
    use crate::log::{Class, GroupId, Record};
    use crate::sim_disk::SimDisk;

    fn open(disk: &SimDisk) -> (Log, Vec<Record>) {
        let options = LogOptions { segment_bytes: 4096, seal: None, seed: 5 };
        let mut records = Vec::new();
        let opened = Log::open(Arc::new(disk.clone()), "log", options, &mut |record| {
            records.push(record);
            Ok(())
        });
        (opened.unwrap().0, records)
    }

    fn place(disk: &SimDisk, header: &Header, records: &[u8]) {
        let file = disk.create_new(&segment_path("log", header.sequence)).unwrap();
        file.set_len(4096).unwrap();
        file.write_at(0, &header.encode()).unwrap();
        file.write_at(HEADER_BYTES as u64, records).unwrap();
    }

    const FIRST: Header = Header {
        sequence: FIRST_SEQUENCE,
        file_bytes: 4096,
        epoch: u64::MAX,
        seed: 5,
        log_id: 5,
        sealed: false,
    };

    #[test]
    fn an_epoch_at_its_end_stays_there() {
        let disk = SimDisk::new(1);
        disk.create_dir_all("log").unwrap();
        place(&disk, &FIRST, &[]);
        let vote = Record::HardState { group: GroupId(1), term: 1, vote: 1, commit: 0 };
        let (mut log, _) = open(&disk);
        log.append(std::slice::from_ref(&vote), Class::Essential).unwrap();
        log.sync().unwrap();
        assert_eq!(log.stats().epoch, FIRST.epoch);
        drop(log);
        assert_eq!(open(&disk).1, [vote]);
    }

    #[test]
    fn a_record_that_claims_more_was_durable_makes_no_file_grow() {
        let disk = SimDisk::new(1);
        disk.create_dir_all("log").unwrap();
        let label = Label { kind: Kind::SegmentEnd, group: GroupId(0), term: 0, index: 1 };
        let head = Head { label, payload_bytes: 0, masked: false, synced: 1 << 30, epoch: 1 };
        let (mut end, at) = (Vec::new(), frame::salt(FIRST.seed, 512));
        let seed = frame::encode(&mut end, &head, &[], at, FIRST.seed);
        place(&disk, &FIRST, &end);
        place(&disk, &Header { sequence: 2, seed, ..FIRST }, &[]);
        drop(open(&disk));
        assert_eq!(disk.used(), 4 * 4096, "two segments and two spares");
    }
}
