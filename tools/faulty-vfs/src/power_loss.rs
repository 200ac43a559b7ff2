//! Chooses which changes of a disk survive a power loss.
//!
//! Every synced change survives. Each pending change may have reached the disk or not, independently of earlier and later ones, and
//! a write also in part: a device writes sector by sector in any order, and the sector it was writing when the power failed holds a
//! mixture.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::disk::{Change, Disk, Inode};
use crate::image::Image;
use crate::random::Random;

/// The outcome of every pending change: one line each when displayed, to explain the effect of a seed.
#[derive(Clone, Debug)]
pub struct PowerLoss {
    /// Reproduces the same power loss on the same image.
    pub seed: u64,
    /// Pending changes that are on the disk now.
    pub kept: usize,
    /// Writes of which parts are on the disk, or whose place holds garbage.
    pub torn: usize,
    /// Pending changes that had no effect.
    pub lost: usize,
    fates: Vec<(Change, Arc<str>, Fate)>,
}

/// How much of a pending change reached the disk.
#[derive(Clone, Debug)]
enum Fate {
    Kept,
    Lost,
    /// These parts of the file were written.
    Torn(Vec<Piece>),
}

#[derive(Clone, Debug)]
struct Piece {
    range: Range<usize>,
    fill: Fill,
}

#[derive(Clone, Copy, Debug)]
enum Fill {
    /// The content to be written.
    Written,
    Zeros,
    Garbage,
}

/// Chooses which pending changes survive. Each variant is a different failure pattern.
enum Pattern {
    /// Changes before this position survive, the one at it is torn.
    Prefix(usize),
    /// Each change survives with this probability, in percent.
    Each { percent: usize },
}

/// Chooses the outcome of every pending change.
pub(crate) fn cut(image: &Image, seed: u64) -> (Disk, PowerLoss) {
    let before = &image.disk;
    let mut after = before.durable();
    let mut random = Random::new(seed);
    let mut loss = PowerLoss { seed, kept: 0, torn: 0, lost: 0, fates: Vec::new() };
    let pending = before.pending();
    let pattern = Pattern::choose(pending.len(), &mut random);
    for (index, pending) in pending.into_iter().enumerate() {
        let change = &pending.change;
        let fate = pattern.fate(index, change, image, &after, &mut random);
        match &fate {
            Fate::Kept => {
                after.settle(change);
                loss.kept += 1;
            }
            Fate::Lost => loss.lost += 1,
            Fate::Torn(pieces) => {
                let Change::Write { inode, offset, bytes } = change else { unreachable!("only writes are torn") };
                for piece in pieces {
                    let bytes = piece.bytes(*offset, bytes, &mut random);
                    let part = Change::Write { inode: *inode, offset: piece.range.start, bytes: bytes.into() };
                    after.settle(&part);
                }
                loss.torn += 1;
            }
        }
        loss.fates.push((change.clone(), before.name_of(change), fate));
    }
    after.close_all();
    (after, loss)
}

impl Pattern {
    fn choose(pending: usize, random: &mut Random) -> Self {
        match random.below(8) {
            0 => Self::Each { percent: 0 },
            1 => Self::Each { percent: 100 },
            2..=4 => Self::Prefix(random.below(pending + 1)),
            _ => Self::Each { percent: [10, 50, 90][random.below(3)] },
        }
    }

    fn fate(&self, index: usize, change: &Change, image: &Image, after: &Disk, random: &mut Random) -> Fate {
        let (survives, torn) = match self {
            Self::Prefix(place) => (index < *place, index == *place),
            Self::Each { percent: 0 } => (false, false),
            Self::Each { percent: 100 } => (true, false),
            Self::Each { percent } => (random.percent(*percent), random.percent(20)),
        };
        match change {
            Change::Write { inode, offset, bytes } if torn => {
                tear(*offset..offset + bytes.len(), after.content(*inode).size(), image, random)
            }
            Change::Write { inode, offset, bytes } if !survives => {
                lengthened(*inode, *offset..offset + bytes.len(), after, random)
            }
            _ if survives => Fate::Kept,
            _ => Fate::Lost,
        }
    }
}

/// The content is lost, but the file may still have grown: its size reached the disk.
fn lengthened(inode: Inode, range: Range<usize>, after: &Disk, random: &mut Random) -> Fate {
    let new = range.start.max(after.content(inode).size())..range.end;
    if new.is_empty() || !random.percent(25) {
        return Fate::Lost;
    }
    Fate::Torn(vec![Piece { range: new, fill: Fill::random_damage(random) }])
}

/// Some sectors of a write reached the disk, one of them in part.
fn tear(range: Range<usize>, file_size: usize, image: &Image, random: &mut Random) -> Fate {
    let sectors = sectors(&range, image.sector_bytes);
    let broken = random.below(sectors.len());
    let order = random.below(3);
    let mut pieces = Vec::new();
    for (index, sector) in sectors.iter().enumerate() {
        // The device may write sectors in any order.
        let arrived = match order {
            0 => index < broken,
            1 => index > broken,
            _ => random.percent(50),
        };
        if index == broken {
            let end = file_size.max(range.end);
            break_sector(sector, &range, end, image, random, &mut pieces);
        } else if arrived {
            let within = sector.start.max(range.start)..sector.end.min(range.end);
            pieces.push(Piece { range: within, fill: Fill::Written });
        }
    }
    if pieces.is_empty() { Fate::Lost } else { Fate::Torn(pieces) }
}

/// A sector is written from one end to the other. The part not reached is unchanged, or garbage; on a device without
/// `powersafe_overwrite`, the whole rest of the sector, including bytes outside the write, may be garbage.
fn break_sector(
    sector: &Range<usize>,
    range: &Range<usize>,
    file_end: usize,
    image: &Image,
    random: &mut Random,
    pieces: &mut Vec<Piece>,
) {
    let within = sector.start.max(range.start)..sector.end.min(range.end);
    let touched = if image.powersafe_overwrite { within.clone() } else { sector.start..sector.end.min(file_end) };
    let at = within.start + random.below(within.len() + 1);
    let upwards = random.percent(50);
    let (written, rest) =
        if upwards { (within.start..at, at..touched.end) } else { (at..within.end, touched.start..at) };
    if !written.is_empty() {
        pieces.push(Piece { range: written, fill: Fill::Written });
    }
    if !rest.is_empty() && random.percent(50) {
        pieces.push(Piece { range: rest, fill: Fill::random_damage(random) });
    }
}

fn sectors(range: &Range<usize>, sector_bytes: usize) -> Vec<Range<usize>> {
    let first = range.start / sector_bytes;
    let last = (range.end - 1) / sector_bytes;
    (first..=last).map(|sector| sector * sector_bytes..(sector + 1) * sector_bytes).collect()
}

impl Piece {
    fn bytes(&self, offset: usize, written: &[u8], random: &mut Random) -> Vec<u8> {
        let Range { start, end } = self.range;
        let mut bytes = vec![0; end - start];
        match self.fill {
            Fill::Written => bytes.copy_from_slice(&written[start - offset..end - offset]),
            Fill::Zeros => {}
            Fill::Garbage => random.fill(&mut bytes),
        }
        bytes
    }
}

impl Fill {
    fn random_damage(random: &mut Random) -> Self {
        if random.percent(50) { Self::Zeros } else { Self::Garbage }
    }
}

impl fmt::Display for PowerLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "power loss {}: {} kept, {} torn, {} lost", self.seed, self.kept, self.torn, self.lost)?;
        for (change, name, fate) in &self.fates {
            write!(f, "\n  {change} {name}: {fate}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::Lost => f.write_str("lost"),
            Self::Torn(pieces) => pieces.iter().enumerate().try_for_each(|(index, Piece { range, fill })| {
                let comma = if index > 0 { ", " } else { "" };
                let state = match fill {
                    Fill::Written => "kept",
                    Fill::Zeros => "zeroed",
                    Fill::Garbage => "garbled",
                };
                write!(f, "{comma}{range:?} {state}")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTOR_BYTES: usize = 8;

    /// A file of three sectors full of `-`, and three pending writes of `x`: the bytes 4..10, 16..24, and ten past the end.
    fn image(powersafe_overwrite: bool) -> Image {
        let mut disk = Disk::default();
        disk.put(&"a".into(), &[b'-'; 3 * SECTOR_BYTES]);
        let inode = disk.find("a").unwrap();
        for range in [4..10, 16..24, 24..34] {
            disk.write(inode, range.start, &vec![b'x'; range.len()]);
        }
        Image { disk, sector_bytes: SECTOR_BYTES, powersafe_overwrite }
    }

    fn outcomes(image: &Image) -> Vec<Vec<u8>> {
        (0..4000).map(|seed| image.power_loss(seed).0.file("a").unwrap()).collect()
    }

    #[test]
    fn a_seed_always_has_the_same_outcome() {
        let image = image(false);
        for seed in 0..100 {
            let (one, one_loss) = image.power_loss(seed);
            let (other, other_loss) = image.power_loss(seed);
            assert_eq!(one.file("a"), other.file("a"));
            assert_eq!(one_loss.to_string(), other_loss.to_string());
            assert_eq!(one_loss.kept + one_loss.torn + one_loss.lost, 3);
            let text = one_loss.to_string();
            assert!(text.starts_with(&format!("power loss {seed}: ")), "{text}");
            assert!(text.contains("\n  write 4..10 of inode 1 a: "), "{text}");
        }
    }

    #[test]
    fn any_subset_of_the_pending_writes_survives() {
        let outcomes = outcomes(&image(false));
        for subset in 0..8 {
            let mut expected = vec![b'-'; 24];
            for (bit, range) in [4..10, 16..24, 24..34].into_iter().enumerate() {
                if subset & (1 << bit) != 0 {
                    expected.resize(expected.len().max(range.end), 0);
                    expected[range].fill(b'x');
                }
            }
            assert!(outcomes.contains(&expected), "subset {subset} never happens");
        }
    }

    #[test]
    fn writes_are_torn_within_and_between_sectors() {
        let outcomes = outcomes(&image(true));
        let first = |wanted: &[u8]| outcomes.iter().any(|bytes| &bytes[4..10] == wanted);
        assert!(first(b"xxxx--") && first(b"----xx"), "one of two sectors");
        assert!(first(b"xx----") && first(b"--xx--") && first(b"-----x"), "a part of a sector");
        assert!(first(b"x\0\0\0--") && first(b"----\0x"), "a part of a sector, the rest zeros");
        let is_garbage = |byte: &u8| !b"-x\0".contains(byte);
        assert!(outcomes.iter().any(|bytes| bytes[4..10].iter().any(is_garbage)));
        assert!(
            outcomes.iter().any(|bytes| bytes.len() == 34 && bytes[24..].iter().all(|byte| *byte == 0)),
            "only longer"
        );
    }

    #[test]
    fn only_without_powersafe_overwrite_unwritten_bytes_are_damaged() {
        let damaged = |outcomes: &[Vec<u8>], range: Range<usize>| {
            outcomes.iter().filter(|bytes| bytes[range.clone()].iter().any(|byte| *byte != b'-')).count()
        };
        let safe = outcomes(&image(true));
        assert_eq!(damaged(&safe, 0..4) + damaged(&safe, 10..16), 0);
        let unsafe_ = outcomes(&image(false));
        assert!(damaged(&unsafe_, 0..4) > 20 && damaged(&unsafe_, 10..16) > 20);
    }

    #[test]
    fn synced_changes_survive() {
        let mut image = image(false);
        let inode = image.disk.find("a").unwrap();
        image.disk.sync(inode);
        let synced = image.file("a").unwrap();
        image.disk.write(inode, 40, b"later");
        for bytes in outcomes(&image) {
            // The rest of the sector of the later write may be damaged; it begins at the sector's boundary.
            assert_eq!(bytes[..32], synced[..32]);
        }
    }

    #[test]
    fn creates_and_deletes_survive_or_not() {
        let mut disk = Disk::default();
        disk.put(&"old".into(), b"old");
        disk.delete(&"old".into());
        let inode = disk.create(&"new".into());
        disk.write(inode, 0, b"new");
        let image = Image { disk, sector_bytes: SECTOR_BYTES, powersafe_overwrite: false };
        let outcomes = (0..1000).map(|seed| image.power_loss(seed).0);
        let mut seen = outcomes.map(|image| (image.file("old").is_some(), image.file("new"))).collect::<Vec<_>>();
        seen.sort();
        seen.dedup();
        for old in [false, true] {
            for new in [None, Some(vec![]), Some(b"new".to_vec())] {
                assert!(seen.contains(&(old, new.clone())), "old: {old}, new: {new:?} never happens");
            }
        }
    }
}
