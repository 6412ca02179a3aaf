//! The thread that owns the index: order, bounds, and calls that do not return.

use super::{PATIENCE, ask, open, put};
use bytes::Bytes;
use std::sync::mpsc;
use storage::state::{Closed, IndexFault, IndexJob, IndexRecord, IndexWorker, SubmitError};

#[test]
fn jobs_run_in_order_and_a_full_queue_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let worker = IndexWorker::start(open(&folder.path().join("state")), 2_000).unwrap();
    let (release, blocked) = mpsc::channel::<()>();
    let (entered_tx, entered) = mpsc::channel();
    ask(&worker, |done| IndexJob::Write { writes: vec![put(1, "a", 1, b"old")], done }).unwrap();
    // A scan whose sink waits keeps the worker busy.
    let sink = Box::new(move |_, _| {
        entered_tx.send(()).unwrap();
        blocked.recv().unwrap();
    });
    let (tx, rx) = mpsc::channel();
    let scanned = tx.clone();
    let done = Box::new(move |result: Result<u64, _>| {
        scanned.send(format!("scan {}", result.unwrap())).unwrap()
    });
    worker.submit(IndexJob::Scan { shard: 1, sink, done }).unwrap();
    entered.recv().unwrap();
    let written = tx.clone();
    let done = Box::new(move |result: Result<(), _>| {
        written.send(format!("write {}", result.is_ok())).unwrap()
    });
    worker.submit(IndexJob::Write { writes: vec![put(1, "a", 2, &[1; 1_000])], done }).unwrap();
    let done = Box::new(move |result: Result<Option<IndexRecord>, _>| {
        tx.send(format!("read {}", result.unwrap().unwrap().position)).unwrap();
    });
    worker.submit(IndexJob::Read { shard: 1, key: Bytes::from_static(b"a"), done }).unwrap();
    let refused = worker.submit(IndexJob::Write {
        writes: vec![put(1, "b", 3, &[1; 900])],
        done: Box::new(|_| ()),
    });
    assert!(matches!(refused, Err(SubmitError::Busy { queued_bytes, .. }) if queued_bytes > 1_000));
    assert!(worker.queued_bytes() > 1_000);
    release.send(()).unwrap();
    let answers: Vec<_> = (0..3).map(|_| rx.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(answers, ["scan 1", "write true", "read 2"]);
    assert_eq!(worker.close(PATIENCE), Closed::Cleanly);
    // The folder is free again.
    assert_eq!(open(&folder.path().join("state")).read(1, b"a").unwrap().unwrap().position, 2);
}

#[test]
fn a_call_that_does_not_return_is_seen_and_abandoned() {
    let folder = tempfile::tempdir().unwrap();
    let worker = IndexWorker::start(open(&folder.path().join("state")), 1 << 20).unwrap();
    ask(&worker, |done| IndexJob::Write { writes: vec![put(1, "a", 1, b"tea")], done }).unwrap();
    let (release, blocked) = mpsc::channel::<()>();
    let (entered_tx, entered) = mpsc::channel();
    let sink = Box::new(move |_, _| {
        entered_tx.send(()).unwrap();
        blocked.recv().unwrap();
    });
    let (tx, answers) = mpsc::channel();
    let running = tx.clone();
    let done = Box::new(move |result| running.send(result).unwrap());
    worker.submit(IndexJob::Scan { shard: 1, sink, done }).unwrap();
    entered.recv().unwrap();
    let waiting = tx.clone();
    let done = Box::new(move |result| waiting.send(result).unwrap());
    worker.submit(IndexJob::SizeOnDisk { done }).unwrap();
    while worker.stalled_for().is_zero() {
        std::thread::yield_now();
    }
    worker.abandon();
    for _ in 0..2 {
        let answer = answers.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(answer, Err(IndexFault::Abandoned)), "{answer:?}");
    }
    assert!(worker.stalled_for().is_zero());
    let late = worker.submit(IndexJob::SyncFiles { done: Box::new(|_| ()) });
    assert!(matches!(late, Err(SubmitError::Closed { .. })));
    release.send(()).unwrap();
    assert_eq!(worker.close(PATIENCE), Closed::Cleanly);
    drop(tx);
    assert!(answers.recv_timeout(PATIENCE).is_err(), "answered twice");
}

#[test]
fn a_callback_that_panics_does_not_stop_the_worker() {
    let folder = tempfile::tempdir().unwrap();
    let worker = IndexWorker::start(open(&folder.path().join("state")), 1 << 20).unwrap();
    worker.submit(IndexJob::SizeOnDisk { done: Box::new(|_| panic!("on purpose")) }).unwrap();
    ask(&worker, |done| IndexJob::SetFloor { shard: 1, position: 4, done }).unwrap();
    assert_eq!(ask(&worker, |done| IndexJob::Floor { shard: 1, done }).unwrap(), Some(4));
}
