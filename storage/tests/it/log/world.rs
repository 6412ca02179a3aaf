//! A log on a simulated disk, beside the list of all that was appended to it.

use super::model::{Model, Step, batch};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::disk::Disk;
use storage::log::{
    AppendError, Class, Fatal, GroupId, Log, LogError, LogOptions, Record, Recovery, inspect,
};
use storage::seal::Seal;
use storage::sim_disk::{SimDisk, SplitMix64};

pub(super) const DIR: &str = "log";
pub(super) const SEGMENT_BYTES: u64 = 4096;

pub(super) fn options(seal: Option<Arc<dyn Seal>>) -> LogOptions {
    LogOptions { segment_bytes: SEGMENT_BYTES, seal, seed: 0xC0FFEE }
}

/// Opens a log and collects what it recovers.
pub(super) fn open(
    disk: &SimDisk,
    options: LogOptions,
) -> Result<(Log, Vec<Record>, Recovery), LogError> {
    let mut records = Vec::new();
    let (log, recovery) = Log::open(Arc::new(disk.clone()), DIR, options, &mut |record| {
        records.push(record);
        Ok(())
    })?;
    Ok((log, records, recovery))
}

/// How many damages an inspection reports.
pub(super) fn damages(disk: &SimDisk, seal: Option<&dyn Seal>) -> u64 {
    inspect(disk, DIR, seal, &mut |_| Ok(())).unwrap().damages
}

/// The names of the segments.
pub(super) fn segments(disk: &SimDisk) -> Vec<String> {
    let names = disk.list(DIR).unwrap();
    let segments = names.into_iter().filter(|name| name.ends_with(".seg"));
    segments.map(|name| format!("{DIR}/{name}")).collect()
}

pub(super) struct World {
    pub(super) disk: SimDisk,
    pub(super) random: SplitMix64,
    pub(super) log: Option<Log>,
    pub(super) model: Model,
    pub(super) appended: Vec<Record>,
    /// How many of `appended` were there at the last completed sync.
    pub(super) synced: usize,
    /// Entries below these indexes may be gone.
    pub(super) floors: BTreeMap<GroupId, u64>,
    pub(super) trims: bool,
    seal: Option<Arc<dyn Seal>>,
}

impl World {
    pub(super) fn new(seed: u64, seal: Option<Arc<dyn Seal>>) -> Self {
        let disk = SimDisk::new(seed);
        let (log, records, _) = open(&disk, options(seal.clone())).unwrap();
        assert_eq!(records, []);
        Self {
            disk,
            random: SplitMix64::new(!seed),
            log: Some(log),
            model: Model::default(),
            appended: Vec::new(),
            synced: 0,
            floors: BTreeMap::new(),
            trims: false,
            seal,
        }
    }

    pub(super) fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    /// One random step; false when it was fatal.
    pub(super) fn step(&mut self) -> bool {
        match self.random.below(12) {
            0..7 => self.append(),
            7..9 => self.sync(),
            9 => {
                self.spares();
                true
            }
            10 if self.trims => self.trim(),
            _ => {
                self.read();
                true
            }
        }
    }

    pub(super) fn append(&mut self) -> bool {
        let before = self.model.clone();
        let (mut records, mut expected) = (Vec::new(), Vec::new());
        for step in batch(&mut self.model, &mut self.random) {
            match step {
                Step::Appended(record) => {
                    records.push(record.clone());
                    expected.push(record);
                }
                Step::Implied(record) => expected.push(record),
            }
        }
        let class = if self.random.one_in(3) { Class::Essential } else { Class::Client };
        match self.log().append(&records, class) {
            Ok(()) => {
                self.appended.extend(expected);
                true
            }
            Err(AppendError::Fatal(fatal)) => {
                assert!(!matches!(fatal, Fatal::NotContiguous { .. }), "{fatal}");
                // Any part of it may have arrived.
                self.appended.extend(expected);
                assert!(self.log().append(&[], Class::Essential).is_err());
                false
            }
            Err(AppendError::NoSpace) => {
                self.model = before;
                true
            }
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) fn sync(&mut self) -> bool {
        let done = self.log().sync().is_ok();
        if done {
            self.synced = self.appended.len();
        } else {
            self.log().sync().unwrap_err();
        }
        done
    }

    /// Allocates the spares that the log wants.
    pub(super) fn spares(&mut self) {
        while let Some(request) = self.log().wanted_spare() {
            match request.allocate(&self.disk) {
                Ok(spare) => self.log().add_spare(spare),
                Err(_) => break,
            }
        }
    }

    pub(super) fn trim(&mut self) -> bool {
        let mut needed = BTreeMap::new();
        for (id, group) in &self.model.groups {
            let needs = self.random.below(group.next.unwrap_or(1) + 2);
            if !self.random.one_in(20) {
                needed.insert(*id, needs);
                let goes = needs.min(group.covered() + 1);
                let floor = self.floors.entry(*id).or_default();
                *floor = goes.max(*floor);
            }
        }
        match self.log().trim(&needed) {
            Ok(report) if report.segments_removed > 0 => self.synced = self.appended.len(),
            Ok(_) => {}
            Err(_) => return false,
        }
        true
    }

    /// Reads a random range of entries, and compares.
    pub(super) fn read(&mut self) {
        let log = self.log.as_ref().unwrap();
        for (id, group) in &self.model.groups {
            let Some(first) = log.first_index(*id) else { continue };
            let last = log.last_index(*id).unwrap();
            assert_eq!(Some(last + 1), group.next);
            let low = first + self.random.below(last + 2 - first);
            let high = low + self.random.below(last + 2 - low);
            let bytes_max = self.random.below(4000);
            let entries = log.read_entries(*id, low, high, bytes_max).unwrap();
            let wanted: Vec<_> = group.entries.range(low..high).map(|(_, entry)| entry).collect();
            assert!(
                entries.len() == wanted.len() || entries.len() < wanted.len() && bytes_max < 4000
            );
            assert_eq!(entries.is_empty(), wanted.is_empty());
            for (entry, wanted) in entries.iter().zip(wanted) {
                assert_eq!(entry, wanted);
                assert_eq!(log.term(*id, entry.index), Some(entry.term));
            }
        }
    }

    /// Starts again on what the disk has, and checks that it is a prefix with all that was synced.
    pub(super) fn reopen(&mut self) {
        self.log = None;
        let opened = open(&self.disk, options(self.seal.clone()));
        let (log, records, _) = opened.unwrap_or_else(|error| panic!("{error}"));
        self.log = Some(log);
        self.accept(&records);
    }

    /// Checks what was recovered and goes on from there.
    pub(super) fn accept(&mut self, records: &[Record]) {
        let kept = if self.trims {
            let recovered = Model::of(records);
            let mut whole = Model::of(&self.appended[..self.synced]);
            let mut kept = self.synced;
            loop {
                if recovered.matches(&whole, &self.floors) {
                    break kept;
                }
                let next = self.appended.get(kept);
                whole.apply(next.expect("what is recovered is some prefix of what was appended"));
                kept += 1;
            }
        } else {
            assert!(records.len() >= self.synced, "{} of {}", records.len(), self.synced);
            assert!(records.len() <= self.appended.len());
            assert_eq!(records, &self.appended[..records.len()]);
            records.len()
        };
        self.appended.truncate(kept);
        self.synced = kept;
        self.model = Model::of(&self.appended);
    }
}
