//! Files after the death of their process.

use super::*;
use crate::CommitStep;
use crate::api::common::RetryPolicy;
use crate::api::enums::RetryState;
use crate::api::history::history_event::Attributes;

#[tokio::test]
async fn a_missing_log_is_an_error_and_a_torn_log_is_read_up_to_the_tear() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("first").await;
    let first = copies(&shelf.file());
    bench.start("second").await;
    let both = copies(&shelf.file());

    // Copies the files as they are at a kill, with the contents of the lock file.
    let crashed = Shelf::new();
    put(&both, &crashed.file());
    fs::remove_file(beside(&crashed.file(), "-wal")).unwrap();
    let missing = crashed.refusal();
    assert!(missing.contains("was not closed in order") && missing.contains("shop.db-wal is not there"), "{missing}");

    let crashed = Shelf::new();
    put(&both, &crashed.file());
    // The log of both commits, cut in the middle of the second one.
    let log = fs::read(beside(&crashed.file(), "-wal")).unwrap();
    let first_log = first.iter().find(|(ending, _)| *ending == "-wal").map(|(_, bytes)| written(bytes)).unwrap();
    assert!(written(&log) > first_log + 100, "the second commit is in the log");
    fs::write(beside(&crashed.file(), "-wal"), &log[..first_log + 100]).unwrap();
    let mut bench = crashed.open();
    assert_eq!(bench.numbers("first").await, "1:1 2:5");
    assert!(try_start(&mut bench, "second").await.unwrap().started, "as if it had never been");
}

/// The log is preallocated for later commits; recovery must take the preallocated part for its end.
#[tokio::test]
async fn a_preallocated_log_is_read_up_to_the_last_commit() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("first").await;
    let log = beside(&shelf.file(), "-wal");
    let made = async {
        while fs::metadata(&log).unwrap().len() < 1 << 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), made).await.expect("the writer makes room");
    bench.start("second").await;

    let crashed = Shelf::new();
    put(&copies(&shelf.file()), &crashed.file());
    let mut bench = crashed.open();
    assert_eq!(bench.numbers("second").await, "1:1 2:5");
    bench.start("third").await;
    let again = Shelf::new();
    put(&copies(&crashed.file()), &again.file());
    let mut bench = again.open();
    for id in ["first", "second", "third"] {
        assert_eq!(bench.numbers(id).await, "1:1 2:5");
    }
}

/// Regression: the database of an idle program that was killed could not be opened: after an orderly close its log was
/// empty, the new owner did not write to it before its first commit, and the next owner reported the log as missing.
#[tokio::test]
async fn a_database_opens_after_a_kill_before_the_first_write() {
    let shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("flow").await;
    drop(bench);
    for _ in 0..2 {
        let idle = shelf.open();
        let files = copies(&shelf.file());
        drop(idle);
        let crashed = Shelf::new();
        put(&files, &crashed.file());
        assert_eq!(crashed.open().numbers("flow").await, "1:1 2:5");
    }
}

/// Regression: a kill between the emptying of the log and the note about it left a log that was reported as missing.
#[tokio::test]
async fn a_database_opens_after_a_kill_while_closing() {
    let shelf = Shelf::new();
    let (told, files) = std::sync::mpsc::channel();
    let file = shelf.file();
    let builder = Engine::builder().file(&file).on_commit(move |step| {
        if step == CommitStep::Checkpoint {
            told.send(copies(&file)).unwrap();
        }
    });
    let mut bench = Bench::of(builder.build().unwrap());
    bench.start("flow").await;
    drop(bench);
    let mut moments: Vec<_> = files.iter().collect();
    moments.push(copies(&shelf.file()));
    assert_eq!(moments.len(), 3, "before the log is moved, before it is emptied, and at the end");
    for files in moments {
        let crashed = Shelf::new();
        put(&files, &crashed.file());
        assert_eq!(crashed.open().numbers("flow").await, "1:1 2:5");
    }
}

/// Regression: attempts were forgotten with their process, so an activity with two attempts ran once in every process.
#[tokio::test]
async fn an_activity_keeps_its_maximum_attempts_across_crashes() {
    let mut shelf = Shelf::new();
    let mut bench = shelf.open();
    bench.start("flow").await;
    let task = bench.poll().await;
    let mut command = run_activity();
    if let Some(CommandAttributes::ScheduleActivityTaskCommandAttributes(attributes)) = &mut command.attributes {
        let initial_interval = Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 });
        attributes.retry_policy = Some(RetryPolicy { maximum_attempts: 2, initial_interval, ..Default::default() });
    }
    bench.complete(&task, vec![command]).await;
    for attempt in 1..=2 {
        assert_eq!(bench.poll_activity().await.attempt, attempt);
        // The process dies while the worker has the task.
        let crashed = Shelf::new();
        put(&copies(&shelf.file()), &crashed.file());
        drop(bench);
        shelf = crashed;
        bench = shelf.open();
    }
    let task = bench.poll().await;
    let events = task.history.unwrap().events;
    assert_eq!(numbers(&events), "1:1 2:5 3:6 4:7 5:10 6:11 7:14 8:5 9:6");
    match &events[6].attributes {
        Some(Attributes::ActivityTaskTimedOutEventAttributes(timed_out)) => {
            assert_eq!(timed_out.retry_state(), RetryState::MaximumAttemptsReached);
        }
        other => panic!("{other:?}"),
    }
}

/// The part of a log that commits have written, before the preallocated part.
fn written(log: &[u8]) -> usize {
    log.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}
