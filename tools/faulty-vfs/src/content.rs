//! The bytes of one file, cheap to clone.

use std::sync::Arc;

/// Chunks are copied when a clone is written to, so they are small; they are large enough that a file has few.
const CHUNK_BYTES: usize = 16 * 1024;

type Chunk = [u8; CHUNK_BYTES];

/// Bytes in chunks that clones share until one of them writes.
///
/// *Invariant.* The chunks just cover `size`, and every byte of theirs past it is zero: a file that grows reads as zeros.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    size: usize,
    chunks: Vec<Arc<Chunk>>,
}

impl Content {
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if end > self.size {
            self.resize(end);
        }
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let within = at % CHUNK_BYTES;
            let (now, later) = rest.split_at(rest.len().min(CHUNK_BYTES - within));
            let chunk = Arc::make_mut(&mut self.chunks[at / CHUNK_BYTES]);
            chunk[within..within + now.len()].copy_from_slice(now);
            at += now.len();
            rest = later;
        }
    }

    /// Truncates the file, or extends it with zeros.
    pub(crate) fn resize(&mut self, size: usize) {
        let chunks = size.div_ceil(CHUNK_BYTES);
        if chunks > self.chunks.len() {
            self.chunks.resize(chunks, Arc::new([0; CHUNK_BYTES]));
        }
        self.chunks.truncate(chunks);
        let within = size % CHUNK_BYTES;
        if size < self.size && within > 0 {
            let last = self.chunks.last_mut().expect("a size that is not zero has chunks");
            Arc::make_mut(last)[within..].fill(0);
        }
        self.size = size;
    }

    /// Fills `buffer` from `offset` on, with zeros past the end, and returns how many bytes the file had for it.
    pub(crate) fn read(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let length = self.size.saturating_sub(offset).min(buffer.len());
        let (mut rest, past) = buffer.split_at_mut(length);
        past.fill(0);
        let mut at = offset;
        while !rest.is_empty() {
            let within = at % CHUNK_BYTES;
            let (now, later) = rest.split_at_mut(rest.len().min(CHUNK_BYTES - within));
            now.copy_from_slice(&self.chunks[at / CHUNK_BYTES][within..within + now.len()]);
            at += now.len();
            rest = later;
        }
        length
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size];
        self.read(0, &mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn behaves_as_a_vector_of_bytes() {
        let mut random = Random::new(1);
        let mut content = Content::default();
        let mut model = Vec::new();
        for step in 0..400_usize {
            let at = random.below(5 * CHUNK_BYTES);
            if random.percent(20) {
                content.resize(at);
                model.resize(at, 0);
            } else {
                let bytes = vec![u8::try_from(step % 255).unwrap() + 1; random.below(2 * CHUNK_BYTES)];
                content.write(at, &bytes);
                if !bytes.is_empty() {
                    model.resize(model.len().max(at + bytes.len()), 0);
                    model[at..at + bytes.len()].copy_from_slice(&bytes);
                }
            }
            assert!(content.to_vec() == model, "differs after step {step}");
        }
    }

    #[test]
    fn reads_past_the_end_are_zeros() {
        let mut content = Content::default();
        content.write(0, b"abc");
        let mut buffer = [7; 5];
        assert_eq!(content.read(1, &mut buffer), 2);
        assert_eq!(&buffer, b"bc\0\0\0");
        assert_eq!(content.read(10, &mut buffer), 0);
        assert_eq!(buffer, [0; 5]);
    }

    #[test]
    fn clone_is_unaffected_by_writes() {
        let mut content = Content::default();
        content.write(0, b"before");
        let clone = content.clone();
        content.write(0, b"behind");
        content.resize(3);
        assert_eq!(clone.to_vec(), b"before");
        assert_eq!(content.to_vec(), b"beh");
    }
}
