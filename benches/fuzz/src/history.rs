//! History files: bytes as one file or as two, scanned, opened for writing and continued; and as the
//! statement of what history there is.

use std::sync::Arc;

use storage::history::{
    Before, HistoryEntry, HistoryError, HistoryOptions, HistoryReader, HistoryWriter, Reach,
    Stretch,
};
use storage::seal::Seal;
use storage::sim_disk::SimDisk;

use crate::allocation::bounded;
use crate::world::{choosing, chosen, disk_with, marked, read};

const DIR: &str = "history";
const SHARD: u32 = 3;
const FIRST: u64 = 1;
const SECOND: u64 = 1_000;
const ENTITY: &[u8] = b"tea";
/// A block of the largest size, compressed and expanded, and the entries in it.
const FIXED_BYTES: usize = 16 << 20;
/// What expands to more is read and not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    let seal = if choice & 1 == 0 { None } else { marked() };
    let files = match bytes.split_first_chunk::<2>() {
        Some((at, rest)) if choice & 2 != 0 => {
            let at = usize::from(u16::from_le_bytes(*at)).min(rest.len());
            let (first, second) = rest.split_at(at);
            vec![(path(FIRST), first), (path(SECOND), second)]
        }
        _ => vec![(path(FIRST), bytes)],
    };
    let disk = disk_with(DIR, files);
    let stated = disk_with(DIR, [(stated_path(), bytes)]);
    bounded(bytes.len(), FIXED_BYTES, || drop(Reach::read(&stated, DIR, SHARD)));
    let reader = HistoryReader::new(Arc::new(disk.clone()), DIR, SHARD, seal.clone());
    bounded(bytes.len(), FIXED_BYTES, || drop(reader.last_index()));
    bounded(bytes.len(), FIXED_BYTES, || {
        drop(reader.scan_entity(ENTITY, 3).map(|scan| scan.take_while(Result::is_ok).count()));
    });
    let kept = bounded(bytes.len(), FIXED_BYTES, || scanned(&reader));
    let before = match kept {
        Ok(kept) if kept <= KEPT_BYTES_MAX => entries(&reader),
        Ok(_) | Err(_) => None,
    };
    let opened = bounded(bytes.len(), FIXED_BYTES, || open(&disk, seal));
    if let (Some(before), Ok(writer)) = (before, opened) {
        continued(&reader, before, writer);
    }
}

fn path(first_index: u64) -> String {
    format!("{DIR}/history-{SHARD:010}-{first_index:020}")
}

fn stated_path() -> String {
    format!("{DIR}/reach-{SHARD:010}")
}

fn open(disk: &SimDisk, seal: Option<Arc<dyn Seal>>) -> Result<HistoryWriter, HistoryError> {
    let options = HistoryOptions { file_bytes: 4_096, reaches: None, stretch: Stretch::ALL };
    HistoryWriter::open(Arc::new(disk.clone()), DIR, SHARD, seal, options)
}

/// Bytes of all entries together, none of which is kept.
fn scanned(reader: &HistoryReader) -> Result<usize, HistoryError> {
    let mut last = None;
    let mut bytes = 0;
    for entry in reader.scan(0)? {
        let entry = entry?;
        assert!(Some(entry.index) > last, "indexes rise");
        last = Some(entry.index);
        bytes += entry.payload.len() + 128;
        bytes += entry.entities.iter().map(|entity| entity.len() + 32).sum::<usize>();
    }
    Ok(bytes)
}

fn entries(reader: &HistoryReader) -> Option<Vec<HistoryEntry>> {
    reader.scan(0).ok()?.collect::<Result<_, _>>().ok()
}

/// Opening cuts what a scan passes over and nothing else; then more is appended behind it.
fn continued(reader: &HistoryReader, mut before: Vec<HistoryEntry>, mut writer: HistoryWriter) {
    assert_eq!(entries(reader).as_ref(), Some(&before));
    assert_eq!(writer.last_index(), before.last().map(|entry| entry.index));
    let Some(index) = writer.last_index().unwrap_or(0).checked_add(1) else { return };
    let next = HistoryEntry {
        index,
        time_micros: 7,
        entities: vec![ENTITY.to_vec()],
        payload: "more".into(),
    };
    writer.append(std::slice::from_ref(&next)).expect("it comes next");
    writer.sync().expect("nothing fails here");
    before.push(next);
    assert_eq!(entries(reader), Some(before));
}

pub fn seeds() -> Vec<Vec<u8>> {
    let entry = |index: u64, payload: &[u8]| HistoryEntry {
        index,
        time_micros: index * 10,
        entities: vec![ENTITY.to_vec(), b"cup".to_vec()],
        payload: payload.to_vec().into(),
    };
    let mut seeds = Vec::new();
    for choice in 0..2 {
        let seal = if choice == 0 { None } else { marked() };
        let disk = SimDisk::new(1);
        let mut writer = open(&disk, seal.clone()).expect("new history");
        writer.append(&[entry(1, b"one"), entry(3, &b"three".repeat(50))]).expect("space");
        writer.sync().expect("nothing fails here");
        let one_block = read(&disk, &path(FIRST));
        writer.append(&[entry(4, b"")]).expect("space");
        writer.sync().expect("nothing fails here");
        let two_blocks = read(&disk, &path(FIRST));
        let disk = SimDisk::new(1);
        let mut writer = open(&disk, seal).expect("new history");
        writer.append(&[entry(SECOND, b"later")]).expect("space");
        writer.sync().expect("nothing fails here");
        let at = u16::try_from(two_blocks.len()).expect("small").to_le_bytes();
        let both = [&at, two_blocks.as_slice(), &read(&disk, &path(SECOND))].concat();
        seeds.push(choosing(choice, &one_block));
        seeds.push(choosing(choice, &two_blocks));
        seeds.push(choosing(choice, two_blocks.get(..two_blocks.len() - 9).expect("longer")));
        seeds.push(choosing(choice | 2, &both));
    }
    let disk = SimDisk::new(1);
    let stated = Reach { since: SECOND, before: Before::Partial };
    stated.write(&disk, DIR, SHARD).expect("space");
    seeds.push(choosing(0, &read(&disk, &stated_path())));
    seeds
}
