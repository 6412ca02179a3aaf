//! What the shards hear of the log's space.

use std::sync::Mutex;

use prometheus_client::registry::Registry;
use storage::log::LogOptions;
use storage::metrics::StorageMetrics;
use storage::sim_disk::SimDisk;

use super::*;

const SEGMENT_BYTES: u64 = 64 << 10;

#[derive(Default)]
struct Heard(Mutex<Vec<Space>>);

impl Heard {
    fn take(&self) -> Vec<Space> {
        std::mem::take(&mut self.0.lock().expect("not poisoned"))
    }
}

impl LogEvents for Heard {
    fn persisted(&self, _appends: Vec<(ShardId, u64)>) {}

    fn space_changed(&self, space: Space) {
        self.0.lock().expect("not poisoned").push(space);
    }

    fn failed(&self, why: &str) -> ! {
        panic!("{why}");
    }
}

/// A log on a disk that holds so many segments, and who listens to it.
fn start(segments: u64) -> (LogWriter, JoinHandle<()>, Arc<Heard>, SimDisk) {
    let sim = SimDisk::new(1);
    sim.set_capacity(Some(segments * SEGMENT_BYTES));
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let options = LogOptions { segment_bytes: SEGMENT_BYTES, ..LogOptions::default() };
    let (log, _) =
        Log::open(Arc::clone(&disk), "log", options, &mut |_| Ok(())).expect("the log opens");
    let heard = Arc::new(Heard::default());
    let metrics = StorageMetrics::register(&mut Registry::default());
    let (writer, thread) =
        LogWriter::start(log, disk, heard.clone(), metrics).expect("the thread starts");
    (writer, thread, heard, sim)
}

fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..5_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("not in time: {what}");
}

fn stop(writer: &LogWriter, thread: JoinHandle<()>) {
    writer.stop();
    thread.join().expect("the writer ends well");
}

#[test]
fn shards_that_come_up_on_a_full_disk_are_told_so() {
    let (writer, thread, heard, disk) = start(2);
    until("the log finds out", || writer.is_full());
    until("it says so to those who are there", || heard.take() == [Space::Full]);
    writer.announce_space();
    until("it says so again to those who came later", || heard.take() == [Space::Full]);
    disk.set_capacity(None);
    until("space is back", || heard.take() == [Space::Free]);
    writer.announce_space();
    stop(&writer, thread);
    assert_eq!(heard.take(), [], "nothing is news while there is space");
}

#[test]
fn nobody_writes_to_the_folder_after_the_stop() {
    for _ in 0..50 {
        let (writer, thread, _heard, disk) = start(2);
        disk.set_capacity(None);
        writer.send(Job::RetrySpace);
        stop(&writer, thread);
        let written = disk.counters();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(disk.counters(), written);
    }
}

#[test]
fn others_that_fill_the_disk_are_noticed_before_the_log_needs_space() {
    let (writer, thread, heard, disk) = start(16);
    let stands = || disk.free_bytes().expect("the disk answers");
    until("the log has what it wants", || 16 * SEGMENT_BYTES - stands() >= 3 * SEGMENT_BYTES);
    writer.check_space();
    let filler = disk.create_new("filler").expect("a file");
    filler
        .write_at(0, &vec![1; usize::try_from(stands() - SEGMENT_BYTES / 2).expect("fits")])
        .expect("space");
    writer.check_space();
    until("it says that there is no space", || heard.take() == [Space::Full]);
    assert!(writer.is_full());
    disk.remove("filler").expect("it can go");
    writer.check_space();
    until("space is back", || heard.take() == [Space::Free]);
    stop(&writer, thread);
}
