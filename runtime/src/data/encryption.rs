//! Encryption of payloads with AES-256-GCM.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use prost::Message;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use super::payload_codec::{PayloadCodec, PayloadCodecError};
use super::serialization_context::SerializationContext;
use crate::raw;

/// The encoding of encrypted payloads, as in the samples of other SDKs.
const ENCRYPTED: &str = "binary/encrypted";
/// The metadata with the id of the key.
const KEY_ID: &str = "encryption-key-id";

/// A key of 256 bits with its id. The metadata of each encrypted payload contains the id.
pub struct EncryptionKey {
    id: String,
    key: LessSafeKey,
}

impl EncryptionKey {
    /// Creates a key from bytes of a key store or a secure random source. A password is not a key.
    ///
    /// Every reader of a history can read the id. An id must always mean the same key.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, &key).expect("a key of AES-256 has 32 bytes");
        Self { id: id.into(), key: LessSafeKey::new(unbound) }
    }

    /// The key's id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Writes only the id.
impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Encrypts payloads with AES-256-GCM, so that the server can read neither values nor their types.
///
/// Each payload is encrypted with the current key, and contains its id; all keys of the codec decrypt. Payloads that are not
/// encrypted are returned unchanged, so encryption can be switched on while workflows run.
///
/// The format is that of the encryption samples of the Go, Python, TypeScript and Java SDKs (`encoding` is `binary/encrypted`, the key is
/// named by `encryption-key-id`, the data is a nonce of 12 bytes followed by the sealed payload), so programs that use those samples
/// with the same keys read it.
///
/// # Rotating keys
///
/// A clone shares its keys with the original, so a program that keeps a clone can change the keys while clients and workers run.
/// If several processes share workflows, all of them must have a key before any of them encrypts with it:
///
/// 1. [`add_key`](Self::add_key) everywhere (or a restart with it): the new key decrypts.
/// 2. [`encrypt_with`](Self::encrypt_with) everywhere: the new key encrypts, the old one still decrypts.
/// 3. [`remove_key`](Self::remove_key), once the last workflow that was encrypted with the old key has left its namespace's retention.
///
/// Change the key long before it has encrypted 4 billion payloads: nonces are random, and two payloads may then share one.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use everloop::Client;
/// use everloop::data::{AesGcmCodec, EncryptionKey};
///
/// # let (old_key, new_key) = ([1; 32], [2; 32]);
/// let codec = AesGcmCodec::new(EncryptionKey::new("2026-11", old_key));
/// let client = Client::builder("memory:").payload_codec(codec.clone()).await?;
///
/// // Later, while `client` and its workers run:
/// codec.add_key(EncryptionKey::new("2026-12", new_key))?;
/// codec.encrypt_with("2026-12")?;
/// # let _ = client;
/// # Ok(()) }) }
/// # #[cfg(not(feature = "embedded"))] fn main() {}
/// ```
#[derive(Clone)]
pub struct AesGcmCodec {
    keys: Arc<RwLock<Keys>>,
    random: SystemRandom,
}

struct Keys {
    /// The id of the key that encrypts; it is one of `known`.
    current: String,
    known: BTreeMap<String, Arc<EncryptionKey>>,
}

/// The reason why the keys of a codec were not changed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The codec has another key of this id. A new key needs a new id, or payloads of the old one could not be read.
    #[error("there is a key `{id}` already: give the new key another id")]
    Duplicate {
        /// The id.
        id: String,
    },
    /// The codec has no key of this id.
    #[error("there is no key `{id}`: call `add_key` with it first")]
    Unknown {
        /// The id.
        id: String,
    },
    /// The key encrypts, so it cannot be removed.
    #[error("the key `{id}` is in use: call `encrypt_with` with another one first")]
    InUse {
        /// The id.
        id: String,
    },
}

debug_as_display!(KeyError);

impl AesGcmCodec {
    /// Creates a codec that encrypts and decrypts with one key.
    pub fn new(key: EncryptionKey) -> Self {
        let keys = Keys { current: key.id.clone(), known: BTreeMap::from([(key.id.clone(), Arc::new(key))]) };
        Self { keys: Arc::new(RwLock::new(keys)), random: SystemRandom::new() }
    }

    /// Adds a key, which decrypts from now on.
    pub fn add_key(&self, key: EncryptionKey) -> Result<(), KeyError> {
        let mut keys = self.write();
        if keys.known.contains_key(&key.id) {
            return Err(KeyError::Duplicate { id: key.id });
        }
        keys.known.insert(key.id.clone(), Arc::new(key));
        Ok(())
    }

    /// Encrypts with this key from now on. The previous key still decrypts.
    pub fn encrypt_with(&self, id: &str) -> Result<(), KeyError> {
        let mut keys = self.write();
        if !keys.known.contains_key(id) {
            return Err(KeyError::Unknown { id: id.to_owned() });
        }
        id.clone_into(&mut keys.current);
        Ok(())
    }

    /// Removes a key. Payloads that were encrypted with it cannot be read from now on.
    pub fn remove_key(&self, id: &str) -> Result<(), KeyError> {
        let mut keys = self.write();
        if keys.current == id {
            return Err(KeyError::InUse { id: id.to_owned() });
        }
        keys.known.remove(id).map(drop).ok_or_else(|| KeyError::Unknown { id: id.to_owned() })
    }

    // A change of the keys is one assignment, so the keys are consistent after a panic.

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn encrypt(&self, payload: &raw::Payload) -> Result<raw::Payload, PayloadCodecError> {
        let key = {
            let keys = self.read();
            keys.known[&keys.current].clone()
        };
        let mut nonce = [0; NONCE_LEN];
        self.random
            .fill(&mut nonce)
            .map_err(|_| PayloadCodecError("this system gives no random numbers for encryption".to_owned()))?;
        let mut sealed = payload.encode_to_vec();
        key.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| PayloadCodecError(format!("a payload of {} bytes is too large to encrypt", sealed.len())))?;
        let mut data = Vec::with_capacity(NONCE_LEN + sealed.len());
        data.extend_from_slice(&nonce);
        data.extend_from_slice(&sealed);
        let metadata = [("encoding".to_owned(), ENCRYPTED.into()), (KEY_ID.to_owned(), key.id.clone().into())];
        Ok(raw::Payload { metadata: metadata.into(), data: data.into(), ..Default::default() })
    }

    fn decrypt(&self, payload: raw::Payload) -> Result<raw::Payload, PayloadCodecError> {
        if payload.metadata.get("encoding").is_none_or(|encoding| encoding != ENCRYPTED) {
            return Ok(payload);
        }
        let Some(id) = payload.metadata.get(KEY_ID) else {
            let message =
                format!("the payload is encrypted, and its metadata lacks `{KEY_ID}`: another codec has made it");
            return Err(PayloadCodecError(message));
        };
        let id = String::from_utf8_lossy(id);
        let key = self.key(&id)?;
        let fail = |reason: &str| Err(PayloadCodecError(format!("a payload encrypted with the key `{id}` {reason}")));
        let Some((nonce, sealed)) = payload.data.split_first_chunk::<NONCE_LEN>() else {
            return fail("is damaged: it is too short");
        };
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let Ok(opened) = key.key.open_in_place(nonce, Aad::empty(), &mut opened) else {
            return fail(
                "cannot be decrypted: it is damaged, or the key of that id is another one where it was encrypted; compare the keys",
            );
        };
        match raw::Payload::decode(Bytes::copy_from_slice(opened)) {
            Ok(payload) => Ok(payload),
            Err(error) => fail(&format!("holds no payload ({error}): another codec has made it")),
        }
    }

    fn key(&self, id: &str) -> Result<Arc<EncryptionKey>, PayloadCodecError> {
        let keys = self.read();
        keys.known.get(id).cloned().ok_or_else(|| {
            let known: Vec<_> = keys.known.keys().map(|id| format!("`{id}`")).collect();
            PayloadCodecError(format!(
                "a payload is encrypted with the key `{id}`, and only these are known here: {}; add it with `add_key`",
                known.join(", ")
            ))
        })
    }
}

impl PayloadCodec for AesGcmCodec {
    async fn encode(
        &self,
        payload: raw::Payload,
        _context: &SerializationContext,
    ) -> Result<raw::Payload, PayloadCodecError> {
        self.encrypt(&payload)
    }

    async fn decode(
        &self,
        payload: raw::Payload,
        _context: &SerializationContext,
    ) -> Result<raw::Payload, PayloadCodecError> {
        self.decrypt(payload)
    }
}

/// The ids of the keys, the current one first.
impl fmt::Debug for AesGcmCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.read();
        let known: Vec<_> = keys.known.keys().collect();
        f.debug_struct("AesGcmCodec").field("current", &keys.current).field("known", &known).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::{decode, encode};

    fn codec() -> AesGcmCodec {
        AesGcmCodec::new(EncryptionKey::new("old", [7; 32]))
    }

    fn value(payload: &raw::Payload) -> String {
        decode(payload).unwrap()
    }

    fn error(codec: &AesGcmCodec, payload: raw::Payload) -> String {
        codec.decrypt(payload).unwrap_err().to_string()
    }

    #[test]
    fn encrypted_payload_shows_its_key_and_nothing_of_its_content() {
        let codec = codec();
        let plain = encode(&"very secret").unwrap();
        let (first, second) = (codec.encrypt(&plain).unwrap(), codec.encrypt(&plain).unwrap());
        assert_eq!((&*first.metadata["encoding"], &*first.metadata[KEY_ID]), (&b"binary/encrypted"[..], &b"old"[..]));
        assert!(!String::from_utf8_lossy(&first.encode_to_vec()).contains("secret"));
        assert_ne!(first.data, second.data, "each has a nonce of its own");
        assert_eq!(codec.decrypt(first).unwrap(), plain);
    }

    /// `AESGCM(bytes(range(32))).encrypt(bytes(range(12)), payload.SerializeToString(), None)` of Python's `cryptography`, as in
    /// the Python SDK's encryption sample, for the payload `{metadata: {encoding: json/plain}, data: "hi"}`.
    #[test]
    fn payload_of_the_python_sample_is_read() {
        let codec = AesGcmCodec::new(EncryptionKey::new("test-key-id", std::array::from_fn(|byte| byte as u8)));
        let sample = "000102030405060708090a0b4d14dc13a08ba174e928f9eca3e3121eecb8a8449c1a36122a63c7ed744ba139b1\
             90aa32b58b5dfa0587718c042d";
        let data: Vec<u8> =
            (0..sample.len()).step_by(2).map(|at| u8::from_str_radix(&sample[at..at + 2], 16).unwrap()).collect();
        let metadata = [("encoding".to_owned(), ENCRYPTED.into()), (KEY_ID.to_owned(), "test-key-id".into())];
        let payload = raw::Payload { metadata: metadata.into(), data: data.into(), ..Default::default() };
        assert_eq!(value(&codec.decrypt(payload).unwrap()), "hi");
    }

    #[test]
    fn plain_payload_is_left_alone() {
        let plain = encode(&"from before").unwrap();
        assert_eq!(codec().decrypt(plain.clone()).unwrap(), plain);
        assert_eq!(codec().decrypt(raw::Payload::default()).unwrap(), raw::Payload::default());
    }

    #[test]
    fn rotated_codec_encrypts_with_the_new_key_and_reads_the_old_one() {
        let codec = codec();
        let plain = encode(&"text").unwrap();
        let before = codec.encrypt(&plain).unwrap();
        let shared = codec.clone();
        assert_eq!(codec.encrypt_with("new"), Err(KeyError::Unknown { id: "new".into() }));
        codec.add_key(EncryptionKey::new("new", [8; 32])).unwrap();
        assert_eq!(shared.encrypt(&plain).unwrap().metadata[KEY_ID], "old");
        codec.encrypt_with("new").unwrap();
        let after = shared.encrypt(&plain).unwrap();
        assert_eq!(after.metadata[KEY_ID], "new");
        assert_eq!(
            (value(&shared.decrypt(before.clone()).unwrap()), value(&shared.decrypt(after).unwrap())),
            ("text".into(), "text".into())
        );
        assert_eq!(codec.remove_key("new"), Err(KeyError::InUse { id: "new".into() }));
        codec.remove_key("old").unwrap();
        let unknown = error(&shared, before);
        assert_eq!(
            unknown,
            "payload codec: a payload is encrypted with the key `old`, and only these are known here: `new`; add it with `add_key`"
        );
    }

    #[test]
    fn key_is_never_replaced_by_one_of_its_id() {
        let codec = codec();
        let refused = codec.add_key(EncryptionKey::new("old", [9; 32])).unwrap_err();
        assert_eq!(refused.to_string(), "there is a key `old` already: give the new key another id");
        assert_eq!(codec.remove_key("none").unwrap_err(), KeyError::Unknown { id: "none".into() });
    }

    #[test]
    fn wrong_key_and_damage_are_errors_that_name_the_key() {
        let codec = codec();
        let encrypted = codec.encrypt(&encode(&"text").unwrap()).unwrap();
        let other = AesGcmCodec::new(EncryptionKey::new("old", [8; 32]));
        assert!(error(&other, encrypted.clone()).contains("the key `old` cannot be decrypted"));
        let mut short = encrypted.clone();
        short.data.truncate(5);
        assert_eq!(
            error(&codec, short),
            "payload codec: a payload encrypted with the key `old` is damaged: it is too short"
        );
        let mut nameless = encrypted;
        nameless.metadata.remove(KEY_ID);
        assert!(error(&codec, nameless).contains("its metadata lacks `encryption-key-id`"));
    }

    #[test]
    fn keys_are_not_printed() {
        let text = format!("{:?} {:?}", codec(), EncryptionKey::new("a", [7; 32]));
        assert_eq!(text, "AesGcmCodec { current: \"old\", known: [\"old\"], .. } EncryptionKey { id: \"a\", .. }");
    }

    proptest! {
        #[test]
        fn any_change_of_an_encrypted_payload_is_an_error(
            data in proptest::collection::vec(any::<u8>(), 0..200), position: prop::sample::Index, flip in 1u8..
        ) {
            let plain = raw::Payload { data: data.into(), ..Default::default() };
            let mut encrypted = codec().encrypt(&plain).unwrap();
            prop_assert_eq!(codec().decrypt(encrypted.clone()).unwrap(), plain);
            let mut bytes = encrypted.data.to_vec();
            let at = position.index(bytes.len());
            bytes[at] ^= flip;
            encrypted.data = bytes.into();
            prop_assert!(codec().decrypt(encrypted).is_err());
        }

        #[test]
        fn any_bytes_are_an_error_and_no_panic(data in proptest::collection::vec(any::<u8>(), 0..100)) {
            let metadata = [("encoding".to_owned(), ENCRYPTED.into()), (KEY_ID.to_owned(), "old".into())];
            let payload = raw::Payload { metadata: metadata.into(), data: data.into(), ..Default::default() };
            prop_assert!(codec().decrypt(payload).is_err());
        }
    }
}
