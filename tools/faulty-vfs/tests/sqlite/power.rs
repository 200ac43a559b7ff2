//! Which commits survive a power loss, and which do not.

use faulty_vfs::{Fault, FaultyVfs, FileKind, Image, Options};

use crate::workload::{Checkpoints, Found, Mode, inspect, open};

const COMMITS: u32 = 12;

/// How the outcomes of many power losses compare with the acknowledged commits.
#[derive(Debug, Default)]
struct Tally {
    outcomes: u64,
    in_commit: u64,
    /// An acknowledged commit is missing, but the rest is whole.
    lost: Vec<String>,
    /// The database cannot be read, or has contents that no commit has made.
    damaged: Vec<String>,
}

impl Tally {
    /// Cuts the power in every `step`th operation of a run, each time with several seeds.
    fn of(mode: Mode, options: &Options, step: usize, seeds: u64) -> Self {
        let vfs = FaultyVfs::register(options.clone());
        let empty = vfs.image();
        assert!(mode.run(&vfs, 0, COMMITS).error.is_none());
        let mutations = vfs.operations().mutations();
        let other = FaultyVfs::register(options.clone());
        let mut tally = Self::default();
        for moment in (1..=mutations).step_by(step) {
            vfs.restore(&empty).unwrap();
            vfs.inject(Fault::power_cut().nth(moment));
            let outcome = mode.run(&vfs, 0, COMMITS);
            assert!(!vfs.is_powered(), "moment {moment} comes");
            tally.in_commit += u64::from(outcome.error.is_some());
            for seed in 0..seeds {
                tally.add(&vfs.image(), moment * seeds + seed, outcome.acknowledged, &other);
            }
        }
        tally
    }

    fn add(&mut self, image: &Image, seed: u64, acknowledged: u32, other: &FaultyVfs) {
        let (survived, loss) = image.power_loss(seed);
        other.restore(&survived).unwrap();
        self.outcomes += 1;
        match inspect(other) {
            Found::Commits(number) if number < acknowledged => {
                self.lost.push(format!("{number} of {acknowledged} commits, {loss}"));
            }
            Found::Commits(number) if number <= acknowledged + 1 => {}
            Found::Commits(number) => self.damaged.push(format!("commit {number} after {acknowledged}, {loss}")),
            Found::Damage(damage) => self.damaged.push(format!("{damage}, {loss}")),
        }
    }

    fn assert_durable(&self) {
        assert!(self.outcomes > 500 && self.in_commit > 30, "{self:?}");
        if let Some(first) = self.damaged.first().or(self.lost.first()) {
            panic!("{} damaged, {} lost of {}: {first}", self.damaged.len(), self.lost.len(), self.outcomes);
        }
    }

    fn assert_whole_but_not_durable(&self) {
        assert!(!self.lost.is_empty(), "{self:?}");
        if let Some(first) = self.damaged.first() {
            panic!("{} damaged of {}: {first}", self.damaged.len(), self.outcomes);
        }
    }
}

const WAL_FULL: Mode = Mode::new("WAL", "FULL");

#[test]
fn acknowledged_commits_survive() {
    let tally = Tally::of(WAL_FULL, &Options::default(), 1, 8);
    assert!(tally.outcomes > 2000);
    tally.assert_durable();
}

#[test]
fn acknowledged_commits_survive_with_other_pages_and_sectors() {
    let large_pages = Mode { page_bytes: 8192, ..WAL_FULL };
    Tally::of(large_pages, &Options::default(), 4, 8).assert_durable();
    let small_sectors = Options { sector_bytes: 512, powersafe_overwrite: true, ..Options::default() };
    Tally::of(WAL_FULL, &small_sectors, 4, 8).assert_durable();
}

/// The same losses, on a database that does not sync: shows that the test above can fail.
#[test]
fn without_syncs_commits_are_lost_and_databases_damaged() {
    let tally = Tally::of(Mode::new("WAL", "OFF"), &Options::default(), 4, 8);
    assert!(!tally.lost.is_empty() && !tally.damaged.is_empty(), "{tally:?}");
}

/// The database asks for every sync, and the disk reports success without syncing.
#[test]
fn on_a_disk_that_lies_about_syncs_commits_are_lost() {
    let vfs = FaultyVfs::register(Options::default());
    drop(WAL_FULL.open(&vfs).unwrap());
    vfs.inject(Fault::lying_sync().for_good());
    let outcome = WAL_FULL.run(&vfs, 0, COMMITS);
    assert_eq!((outcome.acknowledged, outcome.error.is_none()), (COMMITS, true));
    let image = vfs.image();
    let other = FaultyVfs::register(Options::default());
    let is_lost = |seed| {
        other.restore(&image.power_loss(seed).0).unwrap();
        !matches!(inspect(&other), Found::Commits(COMMITS))
    };
    assert!((0..40).any(is_lost));
}

#[test]
fn with_fewer_syncs_commits_are_lost_and_databases_whole() {
    Tally::of(Mode::new("WAL", "NORMAL"), &Options::default(), 3, 8).assert_whole_but_not_durable();
}

/// The commit is the deletion of the journal, and only `EXTRA` makes it durable.
#[test]
fn rollback_journals_come_back_unless_their_deletion_is_synced() {
    Tally::of(Mode::new("DELETE", "EXTRA"), &Options::default(), 4, 8).assert_durable();
    Tally::of(Mode::new("DELETE", "FULL"), &Options::default(), 4, 8).assert_whole_but_not_durable();
}

/// Here the power also fails during recovery from the previous loss.
#[test]
fn a_database_survives_one_power_loss_after_the_other() {
    let vfs = FaultyVfs::register(Options::default());
    let mut commits = 0;
    for life in 0..150 {
        vfs.inject(Fault::power_cut().nth(1 + life * 7919 % 60));
        let outcome = WAL_FULL.run(&vfs, commits, commits + 10);
        let loss = vfs.power_loss(life).unwrap();
        match inspect(&vfs) {
            Found::Commits(number) if (outcome.acknowledged..=outcome.acknowledged + 1).contains(&number) => {
                commits = number
            }
            found => panic!("life {life}: {found:?} after {outcome:?}, {loss}"),
        }
    }
    assert!(commits > 50, "only {commits} commits");
}

/// After a commit SQLite fills up the last sector of a WAL, so that no later write can damage it. But the filling is not synced:
/// when a power loss takes it, the first write after the recovery is in the sector of the last commit, and the next loss can damage
/// that commit. So surviving several losses requires a device that leaves the rest of a sector alone.
#[test]
fn two_power_losses_can_take_a_commit_unless_overwriting_is_safe() {
    let lost = |powersafe_overwrite| {
        let mode = Mode { page_bytes: 8192, checkpoints: Checkpoints::Explicit, ..WAL_FULL };
        let vfs = FaultyVfs::register(Options { powersafe_overwrite, ..Options::default() });
        assert_eq!(mode.run(&vfs, 0, 2).acknowledged, 2);
        let first = vfs.image();
        let is_lost = |seed: &u64| {
            vfs.restore(&first.power_loss(*seed).0).unwrap();
            vfs.inject(Fault::power_cut().of(FileKind::Wal).nth(2 + seed % 3));
            mode.run(&vfs, 2, 3);
            vfs.cut_power();
            vfs.power_loss(*seed).unwrap();
            !matches!(inspect(&vfs), Found::Commits(2 | 3))
        };
        (0..400).filter(is_lost).count()
    };
    assert_eq!(lost(true), 0);
    assert!(lost(false) > 0);
}

#[test]
fn the_same_run_has_the_same_operations_and_losses() {
    let runs = [(); 2].map(|()| {
        let vfs = FaultyVfs::register(Options::default());
        vfs.inject(Fault::power_cut().nth(150));
        WAL_FULL.run(&vfs, 0, COMMITS);
        let trace = vfs.trace().iter().map(ToString::to_string).collect::<Vec<_>>();
        let losses = (0..50).map(|seed| vfs.image().power_loss(seed).1.to_string());
        (trace, losses.collect::<Vec<_>>())
    });
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].0.len() > 150);
}

#[test]
fn killed_process_loses_nothing_without_syncs() {
    let mode = Mode::new("WAL", "OFF");
    let vfs = FaultyVfs::register(Options::default());
    let connection = mode.open(&vfs).unwrap();
    mode.run(&vfs, 0, COMMITS);
    let image = vfs.image();
    assert!(image.pending() > 0);
    let other = FaultyVfs::register(Options::default());
    other.restore(&image).unwrap();
    assert!(matches!(inspect(&other), Found::Commits(COMMITS)));
    drop(connection);
}

#[test]
fn operations_fail_between_power_cut_and_restart() {
    let vfs = FaultyVfs::register(Options::default());
    let mut connection = WAL_FULL.open(&vfs).unwrap();
    crate::workload::commit(&mut connection, 1).unwrap();
    vfs.cut_power();
    crate::workload::commit(&mut connection, 2).unwrap_err();
    connection.query_row("SELECT number FROM progress", [], |_| Ok(())).unwrap_err();
    open(&vfs).and_then(|other| other.query_row("SELECT 1 FROM sqlite_schema", [], |_| Ok(()))).unwrap_err();
    let error = vfs.power_loss(1).unwrap_err();
    assert_eq!(error.to_string(), "files are open, close their connections first: shop.db, shop.db-wal");
    assert_eq!(vfs.open_files(), error.files);
    drop(connection);
    assert!(!vfs.is_powered());
    vfs.power_loss(1).unwrap();
    assert!(matches!(inspect(&vfs), Found::Commits(1)));
}

#[test]
fn a_dropped_vfs_is_switched_off() {
    let vfs = FaultyVfs::register(Options::default());
    let connection = WAL_FULL.open(&vfs).unwrap();
    let name = vfs.name().to_owned();
    drop(vfs);
    connection.execute_batch("CREATE TABLE late (id)").unwrap_err();
    drop(connection);
    let flags = rusqlite::OpenFlags::default();
    rusqlite::Connection::open_with_flags_and_vfs("shop.db", flags, &*name).unwrap_err();
}
