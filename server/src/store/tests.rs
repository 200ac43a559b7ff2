//! The behaviour that every store must have.

mod others;

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    BUSY_WAIT, CommitHook, CommitStep, DormantRun, FileOptions, FileView, ReadLimit, Record, RecordKind, SqliteStore,
    Store, StoreError, StoredRun, Wake, Write,
};
use crate::model::{HistoryBatch, NamespaceKey, RunKey, RunStatus, VisibilityRow};
use crate::visibility::{Filter, PageKey, Schema, parse_list};

const SHOP: NamespaceKey = NamespaceKey(1);

const NO_LIMIT: ReadLimit = ReadLimit { batches_max: usize::MAX, bytes_max: usize::MAX };

/// A store under test.
struct Subject {
    store: Option<SqliteStore>,
    /// Where its file is, if it has one.
    folder: Option<TempDir>,
}

impl Subject {
    fn memory() -> Self {
        Self { store: Some(SqliteStore::memory().unwrap()), folder: None }
    }

    fn file() -> Self {
        let mut subject = Self { store: None, folder: Some(tempfile::tempdir().unwrap()) };
        subject.reopen();
        subject
    }

    fn options(&self) -> Option<FileOptions> {
        let path = self.folder.as_ref()?.path().join("shop.db");
        let (hook, busy_wait) = (CommitHook::default(), BUSY_WAIT);
        Some(FileOptions { path, clock: "real", vfs: None, pages_max: None, busy_wait, hook })
    }

    /// Closes a file and opens it again; memory stays as it is.
    fn reopen(&mut self) {
        if let Some(options) = self.options() {
            drop(self.store.take());
            self.store = Some(SqliteStore::open(options).unwrap().0);
        }
    }

    /// Waits until reads see everything.
    fn settle(&self) {
        block_on(self.caught_up()).unwrap();
    }
}

impl Deref for Subject {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        self.store.as_ref().unwrap()
    }
}

fn namespace(key: i64, name: &str, data: &'static str) -> Record {
    Record { kind: RecordKind::Namespace, namespace: NamespaceKey(key), name: name.into(), data: data.into() }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Runs each test on a store in memory and on one in a file.
macro_rules! each_store {
    ($(fn $name:ident($store:ident) $body:block)*) => {
        mod memory {
            use super::*;
            $(#[test]
            #[allow(unused_mut, reason = "some tests reopen their store")]
            fn $name() {
                let mut $store = Subject::memory();
                $body
            })*
        }

        mod file {
            use super::*;
            $(#[test]
            #[allow(unused_mut, reason = "some tests reopen their store")]
            fn $name() {
                let mut $store = Subject::file();
                $body
            })*
        }
    };
}

fn row(workflow_id: &str, run: RunKey) -> VisibilityRow {
    VisibilityRow {
        namespace: SHOP,
        workflow_id: workflow_id.into(),
        run_id: format!("run-{}", run.0).into(),
        create_request_id: format!("request-{}", run.0).into(),
        workflow_type: "buy".into(),
        task_queue: "shop".into(),
        status: RunStatus::Running,
        start_time_ns: run.0 * 10,
        execution_time_ns: run.0 * 10 + 5,
        close_time_ns: None,
        history_length: 2,
        history_size_bytes: 300,
        state_transition_count: 1,
        memo: Some(Bytes::from_static(b"memo")),
        search_attributes: Some(r#"{"A":{"type":"KeywordList","value":["a"]}}"#.into()),
    }
}

fn closed(row: VisibilityRow, status: RunStatus, close_time_ns: i64) -> VisibilityRow {
    VisibilityRow { status, close_time_ns: Some(close_time_ns), history_length: 11, ..row }
}

fn batch(first_event_id: i64, next_event_id: i64, events: &str) -> HistoryBatch {
    HistoryBatch { first_event_id, next_event_id, transition: 1, events: Bytes::copy_from_slice(events.as_bytes()) }
}

fn start(store: &dyn Store, workflow_id: &str) -> (RunKey, VisibilityRow) {
    let run = store.new_run();
    let row = row(workflow_id, run);
    store.commit(vec![Write { visibility: Some(Box::new(row.clone())), ..Write::nothing(run) }]);
    (run, row)
}

fn close(store: &dyn Store, run: RunKey, row: VisibilityRow, status: RunStatus, close_time_ns: i64) -> VisibilityRow {
    let row = closed(row, status, close_time_ns);
    store.commit(vec![Write { visibility: Some(Box::new(row.clone())), ..Write::nothing(run) }]);
    row
}

each_store! {
    fn history_comes_back_as_it_was_written(store) {
        let (run, other) = (store.new_run(), store.new_run());
        let batches = [batch(1, 3, "one two"), batch(3, 4, "three"), batch(4, 8, "four to seven")];
        for batch in &batches {
            store.commit(vec![
                Write { history: Some(batch.clone()), ..Write::nothing(run) },
                Write { history: Some(batch.clone()), ..Write::nothing(other) },
            ]);
        }
        store.reopen();
        let read = |from| store.read_history(run, from, NO_LIMIT).unwrap();
        assert_eq!(read(1), batches);
        assert_eq!(read(2), batches, "event 2 is inside the first batch");
        assert_eq!(read(3), batches[1..]);
        assert_eq!(read(7), batches[2..]);
        assert_eq!(read(8), []);
        assert_eq!(store.read_history(RunKey(99), 1, NO_LIMIT).unwrap(), []);

        let newest_first: Vec<_> = batches.iter().rev().cloned().collect();
        let read_back = |before| store.read_history_back(run, before, NO_LIMIT).unwrap();
        assert_eq!(read_back(8), newest_first);
        assert_eq!(read_back(i64::MAX), newest_first);
        assert_eq!(read_back(6), newest_first, "event 5 is inside the last batch");
        assert_eq!(read_back(4), newest_first[1..]);
        assert_eq!(read_back(1), []);
    }

    fn a_read_stops_at_its_limits_but_never_before_the_first_batch(store) {
        let run = store.new_run();
        let batches: Vec<_> = (1..=5).map(|id| batch(id, id + 1, "0123456789")).collect();
        store
            .commit(batches.iter().map(|batch| Write { history: Some(batch.clone()), ..Write::nothing(run) }).collect::<Vec<_>>());
        store.reopen();
        let read = |batches_max, bytes_max| store.read_history(run, 1, ReadLimit { batches_max, bytes_max }).unwrap().len();
        assert_eq!(read(3, usize::MAX), 3);
        assert_eq!(read(0, usize::MAX), 1);
        assert_eq!(read(usize::MAX, 29), 2);
        assert_eq!(read(usize::MAX, 30), 3);
        assert_eq!(read(usize::MAX, 1), 1);
    }

    fn the_current_run_of_a_workflow_id_is_the_latest_made(store) {
        let (first, first_row) = start(&*store, "buy-1");
        let first_row = close(&*store, first, first_row, RunStatus::Failed, 900);
        store.reopen();
        let (second, second_row) = start(&*store, "buy-1");
        start(&*store, "buy-2");
        store.settle();

        let found = |run, visibility| Some(StoredRun { run, visibility, overlay: None, wake: Wake::AtOnce });
        assert_eq!(store.find_run(SHOP, "buy-1", None).unwrap(), found(second, second_row));
        assert_eq!(store.find_run(SHOP, "buy-1", Some("run-1")).unwrap(), found(first, first_row));
        assert_eq!(store.find_run(SHOP, "buy-1", Some("run-3")).unwrap(), None, "a run of another workflow id");
        assert_eq!(store.find_run(NamespaceKey(2), "buy-1", None).unwrap(), None);
        assert_eq!(store.find_run(SHOP, "buy-9", None).unwrap(), None);
    }

    fn an_overlay_is_replaced_kept_at_the_close_and_removed_by_empty_bytes(store) {
        let (run, row) = start(&*store, "buy-1");
        let overlay = |store: &mut Subject| {
            store.reopen();
            store.find_run(SHOP, "buy-1", None).unwrap().unwrap().overlay
        };
        let write = |store: &Subject, data: &'static str| {
            store.commit(vec![Write { overlay: Some(data.into()), ..Write::nothing(run) }]);
        };
        write(&store, "attempt 1");
        write(&store, "attempt 2");
        assert_eq!(overlay(&mut store), Some("attempt 2".into()));
        close(&*store, run, row, RunStatus::Completed, 500);
        assert_eq!(overlay(&mut store), Some("attempt 2".into()));
        write(&store, "");
        assert_eq!(overlay(&mut store), None);
    }

    fn lists_show_open_runs_first_then_the_last_closed_page_by_page(store) {
        let runs: Vec<_> = (1..=9).map(|number| start(&*store, &format!("buy-{number}"))).collect();
        for (number, close_time_ns) in [(2, 700), (4, 900), (6, 800), (8, 700)] {
            let (run, row) = runs[number - 1].clone();
            close(&*store, run, row, RunStatus::Completed, close_time_ns);
        }
        store.reopen();
        let expected = ["buy-9", "buy-7", "buy-5", "buy-3", "buy-1", "buy-4", "buy-6", "buy-8", "buy-2"];
        for page_size in 1..=10 {
            let (mut seen, mut after, mut pages) = (Vec::<String>::new(), None::<PageKey>, 0);
            loop {
                let (page, next) = store.list(SHOP, &Filter::default(), after, page_size).wait().unwrap();
                assert!(page.len() == page_size || next.is_none());
                seen.extend(page.iter().map(|row| row.workflow_id.to_string()));
                pages += 1;
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "pages of {page_size}");
            assert_eq!(pages, expected.len().div_ceil(page_size), "no empty page at the end");
        }
        let (elsewhere, next) = store.list(NamespaceKey(2), &Filter::default(), None, 10).wait().unwrap();
        assert_eq!((elsewhere, next), (vec![], None));
        let counts = store.count(SHOP, &Filter::default()).wait().unwrap();
        assert_eq!(counts, [(RunStatus::Running, 5), (RunStatus::Completed, 4)]);
    }

    fn a_row_comes_back_whole_after_its_changes(store) {
        let (run, row) = start(&*store, "buy-1");
        store.settle();
        assert_eq!(store.list(SHOP, &Filter::default(), None, 1).wait().unwrap().0, std::slice::from_ref(&row));
        let row = VisibilityRow { memo: None, search_attributes: None, task_queue: "other".into(), execution_time_ns: 77, ..row };
        let row = close(&*store, run, row, RunStatus::TimedOut, i64::MAX - 1);
        store.reopen();
        assert_eq!(store.list(SHOP, &Filter::default(), None, 1).wait().unwrap().0, [row]);
    }

    fn records_are_added_replaced_and_loaded_by_namespace_and_name(store) {
        let kind = RecordKind::Namespace;
        assert_eq!(store.load_records(kind).unwrap(), []);
        store.save_record(namespace(2, "second", "b"));
        store.save_record(namespace(1, "first", "a"));
        store.save_record(namespace(2, "another", ""));
        store.save_record(namespace(2, "second", "c"));
        store.reopen();
        let all = [namespace(1, "first", "a"), namespace(2, "another", ""), namespace(2, "second", "c")];
        assert_eq!(store.load_records(kind).unwrap(), all);
    }

    fn commits_of_many_threads_all_arrive(store) {
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..200 {
                        let (run, row) = start(&**store, &format!("buy-{thread}-{number}"));
                        let commit =
                            |id| store.commit(vec![Write { history: Some(batch(id, id + 1, "x")), ..Write::nothing(run) }]);
                        assert!(commit(1) < commit(2), "commits are numbered in order");
                        if number % 2 == 0 {
                            close(&**store, run, row, RunStatus::Completed, 1_000_000);
                        }
                        store.settle();
                        assert_eq!(
                            store.read_history(run, 1, NO_LIMIT).unwrap().len(),
                            2,
                            "a read sees what was committed"
                        );
                    }
                });
            }
        });
        store.reopen();
        let counts = store.count(SHOP, &Filter::default()).wait().unwrap();
        assert_eq!(counts, [(RunStatus::Running, 800), (RunStatus::Completed, 800)]);
    }

    fn a_failed_write_ends_all_acknowledgement(store) {
        let run = store.new_run();
        let seq = store.commit(vec![Write { history: Some(batch(1, 3, "first")), ..Write::nothing(run) }]);
        assert_eq!(block_on(store.durable(seq)), Ok(()));
        assert_eq!(store.admit(), Ok(()));
        // No engine writes an event twice; a store that is told to must not pass over it.
        let seq = store.commit(vec![Write { history: Some(batch(1, 3, "again")), ..Write::nothing(run) }]);
        let _ = block_on(store.caught_up());
        let failure = store.read_history(run, 1, NO_LIMIT).unwrap_err();
        let StoreError::Failed { reason } = &failure else { panic!("{failure}") };
        assert!(reason.contains("UNIQUE constraint failed"), "{reason}");
        assert_eq!(block_on(store.durable(seq)).as_ref(), Err(&failure));
        assert_eq!(store.admit().as_ref(), Err(&failure));
        assert_eq!(store.count(SHOP, &Filter::default()).wait().as_ref(), Err(&failure));
    }
}

#[test]
fn a_file_tells_which_runs_are_open_and_when_they_have_to_wake() {
    let mut store = Subject::file();
    let wake = |store: &Subject, run, wake| store.commit(vec![Write { wake: Some(wake), ..Write::nothing(run) }]);
    let (busy, _) = start(&*store, "busy");
    let (sleeps, _) = start(&*store, "sleeps");
    let (waits, _) = start(&*store, "waits");
    let (done, row) = start(&*store, "done");
    wake(&store, sleeps, Wake::At(7_000));
    wake(&store, waits, Wake::WhenAsked);
    close(&*store, done, row, RunStatus::Completed, 50);
    store.save_record(namespace(SHOP.0, "shop", ""));
    store.reopen();
    let dormant =
        |run, workflow_id: &str, wake| DormantRun { run, namespace: SHOP, workflow_id: workflow_id.into(), wake };
    let expected = [
        dormant(busy, "busy", Wake::AtOnce),
        dormant(sleeps, "sleeps", Wake::At(7_000)),
        dormant(waits, "waits", Wake::WhenAsked),
    ];
    assert_eq!(store.open_runs().unwrap(), expected);
    assert_eq!(store.find_run(SHOP, "sleeps", None).unwrap().unwrap().wake, Wake::At(7_000));
    assert!(store.new_run() > done, "keys are not used again");
}

/// A file as a program wrote it when namespaces had a table of their own.
const FORMAT_1: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE namespace (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description BLOB NOT NULL) STRICT;
    CREATE TABLE run (
        key INTEGER PRIMARY KEY, namespace INTEGER NOT NULL, workflow_id TEXT NOT NULL, run_id TEXT NOT NULL,
        workflow_type TEXT NOT NULL, task_queue TEXT NOT NULL, status INTEGER NOT NULL, start_time INTEGER NOT NULL,
        execution_time INTEGER NOT NULL, close_time INTEGER NOT NULL, wake_time INTEGER NOT NULL,
        history_length INTEGER NOT NULL, history_size_bytes INTEGER NOT NULL,
        state_transition_count INTEGER NOT NULL, memo BLOB, create_request_id TEXT NOT NULL
    ) STRICT;
    CREATE INDEX run_by_workflow_id ON run (namespace, workflow_id);
    CREATE INDEX run_by_close_time ON run (namespace, close_time DESC, start_time DESC);
    CREATE TABLE overlay (run INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
    CREATE TABLE history (
        run INTEGER NOT NULL, first_event INTEGER NOT NULL, next_event INTEGER NOT NULL, transition INTEGER NOT NULL,
        events BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX history_by_run ON history (run, first_event);
    INSERT INTO meta VALUES ('clock', 'real'), ('workers', 'inside'), ('openings', '1');
    INSERT INTO namespace VALUES (1, 'default', CAST('one' AS BLOB)), (7, 'shop', CAST('' AS BLOB));
    INSERT INTO run VALUES (
        3, 7, 'buy', 'run', 'Buy', 'queue', 1, 10, 10, 9223372036854775807, 0, 2, 3, 1, NULL, 'request');
    INSERT INTO overlay VALUES (3, CAST('overlay' AS BLOB));
    INSERT INTO history VALUES (3, 1, 3, 1, CAST('one two' AS BLOB));
    PRAGMA application_id = 0x45564c50;
    PRAGMA user_version = 1;";

/// Checks that a store has what is in a file of format 1.
fn has_what_format_1_had(store: &dyn Store) {
    let namespaces = store.load_records(RecordKind::Namespace).unwrap();
    assert_eq!(namespaces, [namespace(1, "default", "one"), namespace(7, "shop", "")]);
    let run = RunKey(3);
    let dormant = DormantRun { run, namespace: NamespaceKey(7), workflow_id: "buy".into(), wake: Wake::AtOnce };
    assert_eq!(store.open_runs().unwrap(), [dormant]);
    let found = store.find_run(NamespaceKey(7), "buy", None).unwrap().unwrap();
    assert_eq!((found.run, found.overlay.as_deref()), (run, Some(&b"overlay"[..])));
    assert_eq!(found.visibility.search_attributes, None);
    assert_eq!(store.read_history(run, 1, NO_LIMIT).unwrap(), [batch(1, 3, "one two")]);
    let filter = parse_list("TemporalChangeVersion != 'a'", Schema::built_in()).unwrap();
    let (listed, _) = store.list(NamespaceKey(7), &filter, None, 10).wait().unwrap();
    assert_eq!(listed, [found.visibility]);
    assert_eq!(store.count(NamespaceKey(7), &filter).wait().unwrap(), [(RunStatus::Running, 1)]);
}

#[test]
fn a_file_of_format_1_is_read_as_it_is_and_brought_forward_when_it_is_opened() {
    let mut subject = Subject { store: None, folder: Some(tempfile::tempdir().unwrap()) };
    let path = subject.options().unwrap().path;
    let old = Connection::open(&path).unwrap();
    let _: String = old.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).unwrap();
    old.execute_batch(FORMAT_1).unwrap();
    drop(old);
    let format = |path: &Path| -> i64 {
        Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };

    let (view, _) = FileView::open(&path).unwrap();
    has_what_format_1_had(&view);
    assert_eq!(format(&path), 1, "a view changes nothing");

    subject.reopen();
    has_what_format_1_had(&*subject);
    assert_eq!(format(&path), 3);
    // The view is still open.
    has_what_format_1_had(&view);
    subject.save_record(namespace(7, "shop", "changed"));
    subject.reopen();
    assert_eq!(subject.load_records(RecordKind::Namespace).unwrap()[1], namespace(7, "shop", "changed"));

    let (backup, _) = FileView::open(&beside(&path, ".format-1")).unwrap();
    has_what_format_1_had(&backup);
}

#[test]
fn a_file_forgets_what_was_closed_long_ago() {
    let mut store = Subject::file();
    for number in 0..200 {
        let (run, row) = start(&*store, &format!("buy-{number}"));
        store.commit(vec![Write { history: Some(batch(1, 2, "x")), overlay: Some("o".into()), ..Write::nothing(run) }]);
        close(&*store, run, row, RunStatus::Completed, 1_000 + number);
    }
    let (open, _) = start(&*store, "open");
    store.forget_closed(SHOP, 1_150);
    // Closing waits for all that was asked for.
    store.reopen();
    store.forget_closed(SHOP, 1_150);
    let left = || store.count(SHOP, &Filter::default()).wait().unwrap();
    while left() != [(RunStatus::Running, 1), (RunStatus::Completed, 50)] {
        std::thread::yield_now();
    }
    assert!(store.find_run(SHOP, "buy-149", None).unwrap().is_none());
    assert_eq!(store.read_history(RunKey(150), 1, NO_LIMIT).unwrap(), []);
    assert_eq!(store.read_history(RunKey(151), 1, NO_LIMIT).unwrap().len(), 1);
    assert!(store.find_run(SHOP, "open", Some(&format!("run-{}", open.0))).unwrap().is_some());
}

/// A list ran on the thread of the caller's runtime: here it would wait for the lock for ever.
#[test]
fn lists_and_counts_never_block_their_caller() {
    let store = SqliteStore::memory().unwrap();
    start(&store, "buy-1");
    let writing = store.while_writing();
    let (mut list, mut count) = (store.list(SHOP, &Filter::default(), None, 10), store.count(SHOP, &Filter::default()));
    assert!(is_pending(&mut list) && is_pending(&mut count));
    drop(writing);
    assert_eq!(list.wait().unwrap().0.len(), 1);
    assert_eq!(count.wait().unwrap(), [(RunStatus::Running, 1)]);
}

#[test]
fn full_memory_forgets_the_runs_closed_longest_ago_and_no_open_one() {
    let store = SqliteStore::memory_of(1 << 20).unwrap();
    let events = "e".repeat(10_000);
    let fill = |workflow_id: &str, closes: bool| {
        let (run, row) = start(&store, workflow_id);
        store.commit(vec![Write { history: Some(batch(1, 2, &events)), ..Write::nothing(run) }]);
        if closes {
            close(&store, run, row, RunStatus::Completed, run.0 * 10);
        }
        store.read_history(run, 1, NO_LIMIT).unwrap();
        run
    };
    let open = fill("open", false);
    let runs: Vec<_> = (0..400).map(|number| fill(&format!("closed-{number}"), true)).collect();
    assert!(store.find_run(SHOP, "open", None).unwrap().is_some());
    assert_eq!(store.read_history(open, 1, NO_LIMIT).unwrap().len(), 1);
    assert!(store.find_run(SHOP, "closed-0", None).unwrap().is_none());
    assert_eq!(store.read_history(runs[0], 1, NO_LIMIT).unwrap(), []);
    assert!(store.find_run(SHOP, "closed-399", None).unwrap().is_some());
    let kept: i64 = store.count(SHOP, &Filter::default()).wait().unwrap().iter().map(|(_, count)| count).sum();
    assert!((20..110).contains(&kept), "about a megabyte of 10 kB runs, not {kept}");
}

fn is_pending(future: impl Future) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}
