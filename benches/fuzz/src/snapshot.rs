//! Snapshot files: read as a stream, and received in pieces.

use std::sync::Arc;

use storage::seal::Seal;
use storage::sim_disk::SimDisk;
use storage::snapshot::{
    SnapshotChunks, SnapshotError, SnapshotItem, SnapshotMeta, SnapshotReader, SnapshotReceiver,
    SnapshotRecord, SnapshotWriter, list,
};

use crate::allocation::bounded;
use crate::world::{choosing, chosen, disk_with, marked, read};

const DIR: &str = "snapshots";
const PATH: &str = "snapshots/snapshot-0000000003-00000000000000000005";
const META: SnapshotMeta = SnapshotMeta { shard: 3, start: 5, start_term: 2, id: 9 };
/// A block of the largest size, compressed and expanded, and one item of it.
const FIXED_BYTES: usize = 16 << 20;
/// What expands to more is read and not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    let seal = if choice & 1 == 0 { None } else { marked() };
    if choice & 2 == 0 {
        read_file(bytes, seal);
    } else {
        receive(bytes, seal, 1 + choice / 4);
    }
}

fn read_file(bytes: &[u8], seal: Option<Arc<dyn Seal>>) {
    let disk = disk_with(DIR, [(PATH.to_owned(), bytes)]);
    let open = || SnapshotReader::open(&disk, PATH, META.shard, seal.clone());
    let mut kept = 0;
    let whole = bounded(bytes.len(), FIXED_BYTES, || -> Result<_, SnapshotError> {
        let mut reader = open()?;
        let end = reader.end();
        for item in &mut reader {
            let item = item?;
            assert!(item.position <= end);
            kept += item.key.len() + item.body.map_or(0, |body| body.len()) + 64;
        }
        Ok((*reader.meta(), end))
    });
    if let Ok((meta, end)) = whole
        && kept <= KEPT_BYTES_MAX
    {
        let records: Result<Vec<_>, _> = open().expect("it opened before").collect();
        let records = records.expect("it was read before");
        let (disk, path) = written(meta, &records, end, seal.clone());
        let again = SnapshotReader::open(&disk, &path, meta.shard, seal).expect("just written");
        assert_eq!((*again.meta(), again.end()), (meta, end));
        assert_eq!(again.collect::<Result<Vec<_>, _>>().expect("just written"), records);
    }
}

/// A snapshot with these records, on a disk of its own.
fn written(
    meta: SnapshotMeta,
    records: &[SnapshotRecord],
    end: u64,
    seal: Option<Arc<dyn Seal>>,
) -> (SimDisk, String) {
    let disk = SimDisk::new(1);
    let writer = SnapshotWriter::create(Arc::new(disk.clone()), DIR, meta, seal);
    let mut writer = writer.expect("space");
    for SnapshotRecord { key, position, body } in records {
        let item = SnapshotItem { key, position: *position, body: body.as_deref() };
        writer.push(&item).expect("an item that was read");
    }
    let file = writer.finish(end).expect("an end that was read");
    (disk, file.path)
}

/// What is received gets its name only if it is what was announced, whole.
fn receive(bytes: &[u8], seal: Option<Arc<dyn Seal>>, piece: usize) {
    let disk = SimDisk::new(1);
    let len = bytes.len() as u64;
    let received = bounded(bytes.len(), FIXED_BYTES, || -> Result<_, SnapshotError> {
        let open = || SnapshotReceiver::open(Arc::new(disk.clone()), DIR, META, len);
        let mut receiver = open()?;
        for chunk in bytes.chunks(piece * 16) {
            receiver.write(receiver.resume_offset(), chunk)?;
            if piece == 2 {
                drop(receiver);
                receiver = open()?;
            }
        }
        assert!(receiver.is_complete());
        receiver.finish(seal.clone())
    });
    let names = list(&disk, DIR).expect("the folder");
    let Ok(file) = received else { return assert_eq!(names, []) };
    assert_eq!((file.meta, file.bytes), (META, len));
    assert_eq!(names.len(), 1);
    let chunks = SnapshotChunks::open(&disk, &file.path).expect("just received");
    let mut sent = Vec::new();
    while sent.len() < bytes.len() {
        sent.extend(chunks.read(sent.len() as u64, usize::MAX).expect("just received"));
    }
    assert_eq!(sent, bytes);
}

pub fn seeds() -> Vec<Vec<u8>> {
    let record = |key: &str, position, body: Option<Vec<u8>>| SnapshotRecord {
        key: key.as_bytes().to_vec(),
        position,
        body,
    };
    let few = [
        record("header", 4, Some(b"header".to_vec())),
        record("tea", 6, Some(b"green tea".repeat(20))),
        record("gone", 7, None),
        record("", 1, Some(Vec::new())),
    ];
    // Two blocks; what repeats takes little space in the file.
    let long = |byte| Some(vec![byte; 200_000]);
    let many = [record("a", 1, long(7)), record("b", 2, long(9))];
    let mut seeds = Vec::new();
    for (records, end) in [(&few[..0], 5), (&few[..], 8), (&many[..], 5)] {
        for choice in 0..4 {
            let seal = if choice & 1 == 0 { None } else { marked() };
            let (disk, path) = written(META, records, end, seal);
            seeds.push(choosing(choice, &read(&disk, &path)));
        }
    }
    seeds
}
