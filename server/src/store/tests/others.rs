//! Files that other programs lock, or whose log they take in or remove.

use super::*;

/// A write lock of more than five seconds ended the server: nothing was acknowledged until it was started anew.
#[test]
fn writes_and_retention_wait_while_another_program_has_the_lock() {
    let mut store = Subject::file();
    let (old, row) = start(&*store, "old");
    store.commit(vec![Write { history: Some(batch(1, 2, "x")), ..Write::nothing(old) }]);
    close(&*store, old, row, RunStatus::Completed, 1_000);
    store.settle();
    drop(store.store.take());
    let (told, steps) = mpsc::channel();
    // Nobody listens any more when the store closes.
    let hook = CommitHook::new(move |step| {
        let _ = told.send(step);
    });
    let options = FileOptions { busy_wait: Duration::from_millis(5), hook, ..store.options().unwrap() };
    let other = Connection::open(&options.path).unwrap();
    store.store = Some(SqliteStore::open(options).unwrap().0);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    store.forget_closed(SHOP, 2_000);
    let (run, _) = start(&*store, "buy-1");
    let seq = store.commit(vec![Write { history: Some(batch(1, 2, "x")), ..Write::nothing(run) }]);
    let mut durable = store.durable(seq);
    assert!(is_pending(&mut durable));
    let mut attempts = 0;
    while attempts < 10 {
        store.check().expect("it tries again and again");
        attempts += steps.try_iter().filter(|step| *step == CommitStep::Begin).count();
        std::thread::yield_now();
    }
    assert!(is_pending(&mut durable));
    assert_eq!((store.check(), store.admit()), (Ok(()), Ok(())));
    assert!(store.find_run(SHOP, "old", None).unwrap().is_some(), "reads go on");

    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(block_on(durable), Ok(()));
    assert!(store.find_run(SHOP, "buy-1", None).unwrap().is_some());
    while store.find_run(SHOP, "old", None).unwrap().is_some() {
        std::thread::yield_now();
    }
    store.reopen();
    assert_eq!(store.read_history(run, 1, NO_LIMIT).unwrap().len(), 1);
}

#[test]
fn a_store_that_closes_does_not_wait_for_ever_for_the_lock_of_another_program() {
    let mut store = Subject::file();
    drop(store.store.take());
    let options = FileOptions { busy_wait: Duration::from_millis(5), ..store.options().unwrap() };
    store.store = Some(SqliteStore::open(options.clone()).unwrap().0);
    start(&*store, "kept");
    store.settle();
    let other = Connection::open(&options.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    start(&*store, "not acknowledged");
    drop(store.store.take());
    drop(other);
    store.reopen();
    let (rows, _) = store.list(SHOP, &Filter::default(), None, 10).wait().unwrap();
    assert_eq!(rows.iter().map(|row| &*row.workflow_id).collect::<Vec<_>>(), ["kept"]);
}

/// The files of a store as a kill leaves them at this moment, in a folder of their own.
fn killed(store: &Subject) -> (TempDir, FileOptions) {
    let options = store.options().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    for ending in ["", "-wal", ".lock"] {
        fs::copy(beside(&options.path, ending), beside(&path, ending)).unwrap();
    }
    (folder, FileOptions { path, ..options })
}

/// Reads with a connection that is the last one: SQLite moves the log into the database and removes it.
fn take_log_in(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM run", [], |row| row.get::<_, i64>(0)).unwrap();
    drop(connection);
    assert!(!beside(path, "-wal").exists());
}

/// A look into the file with another program after a kill made it count as damaged, though nothing was missing.
#[test]
fn a_log_that_another_program_took_in_after_a_kill_is_not_missing() {
    let store = Subject::file();
    let (run, row) = start(&*store, "buy-1");
    store.commit(vec![Write { history: Some(batch(1, 2, "x")), ..Write::nothing(run) }]);
    store.settle();
    let with_history = killed(&store);
    store.commit(vec![Write { overlay: Some("attempt 2".into()), ..Write::nothing(run) }]);
    store.settle();
    let with_overlay = killed(&store);
    close(&*store, run, row, RunStatus::Completed, 1_000);
    store.settle();
    store.forget_closed(SHOP, 2_000);
    while store.find_run(SHOP, "buy-1", None).unwrap().is_some() {
        std::thread::yield_now();
    }
    let forgotten = killed(&store);
    for ((_folder, options), runs) in [(with_history, 1), (with_overlay, 1), (forgotten, 0)] {
        take_log_in(&options.path);
        let (store, _) = SqliteStore::open(options).unwrap();
        assert_eq!(store.count(SHOP, &Filter::default()).wait().unwrap().len(), runs);
    }
}

#[test]
fn a_removed_log_is_missing_whatever_it_had() {
    let mut store = Subject::file();
    let (run, _) = start(&*store, "buy-1");
    store.reopen();
    let refused = |(_folder, options): (TempDir, FileOptions)| {
        fs::remove_file(beside(&options.path, "-wal")).unwrap();
        let error = SqliteStore::open(options).unwrap_err().to_string();
        assert!(error.contains("what was written last is missing") && error.contains("-wal is not there"), "{error}");
    };
    store.commit(vec![Write { overlay: Some("attempt 2".into()), ..Write::nothing(run) }]);
    store.settle();
    refused(killed(&store));
    store.commit(vec![Write { history: Some(batch(1, 2, "x")), ..Write::nothing(run) }]);
    store.settle();
    refused(killed(&store));
}
