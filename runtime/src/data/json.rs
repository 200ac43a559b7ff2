//! Encodes values whose JSON decodes to the same value, and rejects others.
//!
//! serde_json encodes several values as `null` (NaN, infinity, `Some(None)`, `Some(())`) and encodes deeper nesting than it
//! decodes. Such a payload would be stored, and its reader could not repair it. Here the call that encodes it fails, and the
//! error has the path of the field.

use std::collections::HashSet;
use std::fmt::{self, Display};

use serde::ser::{self, Serialize, Serializer};

/// The depth to which serde_json decodes nested arrays and objects.
const DEPTH_MAX: u8 = 127;

/// The number of segments of a path in an error; the path of a value that is nested too deep has more.
const SEGMENTS_SHOWN: usize = 12;

/// The name of the struct that serde_json encodes as its unchanged JSON text.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Encodes a value as JSON. The error has the path of the field that would not decode, and the reason.
pub(super) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    // A separate check costs a few nanoseconds because it writes nothing; a wrapper around serde_json's serializer would
    // cost a fifth of the encoding.
    let check = Check { depth: 0, around: Around::Nothing, keys: false };
    value.serialize(check).map_err(|refused| refused.to_string())?;
    serde_json::to_vec(value).map_err(|error| match value.serialize(Check { keys: true, ..check }) {
        // The check finds the same error, and adds its path.
        Err(refused) => refused.to_string(),
        Ok(()) => error.to_string(),
    })
}

/// The reason why a value is rejected.
#[derive(Debug)]
struct Refused(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    reason: String,
    /// The segments of the path, innermost first: each level adds its own when it returns the error.
    path: Vec<String>,
}

impl Refused {
    #[cold]
    fn field(mut self, name: &str) -> Self {
        self.0.path.push(format!(".{name}"));
        self
    }

    #[cold]
    fn index(mut self, index: usize) -> Self {
        self.0.path.push(format!("[{index}]"));
        self
    }

    #[cold]
    fn key(mut self, key: &str) -> Self {
        self.0.path.push(format!("[\"{key}\"]"));
        self
    }

    /// Adds the variant of an enum to the path, unless the name is empty.
    #[cold]
    fn variant(self, name: &'static str) -> Self {
        match name {
            "" => self,
            name => self.field(name),
        }
    }
}

impl ser::Error for Refused {
    #[cold]
    fn custom<T: Display>(reason: T) -> Self {
        Self(Box::new(Refusal { reason: reason.to_string(), path: Vec::new() }))
    }
}

impl std::error::Error for Refused {}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { reason, path } = &*self.0;
        let mut shown: String = path.iter().rev().take(SEGMENTS_SHOWN).map(String::as_str).collect();
        if path.len() > SEGMENTS_SHOWN {
            shown.push('…');
        }
        match shown.strip_prefix('.').unwrap_or(&shown) {
            "" => f.write_str(reason),
            path => write!(f, "{path}: {reason}"),
        }
    }
}

/// A serializer that writes nothing, and rejects values that would not decode to themselves.
#[derive(Clone, Copy)]
struct Check {
    /// The number of arrays and objects around the value.
    depth: u8,
    around: Around,
    /// Whether the keys of maps are converted to text. Only errors need them.
    keys: bool,
}

/// The container of the next value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Nothing,
    /// `Some`: `null` would decode as `None`.
    Option,
    /// `Some` of unchanged JSON text.
    OptionOfRaw,
}

impl Check {
    /// The check for values inside of an array or object here.
    #[inline]
    fn deeper(self) -> Result<Self, Refused> {
        match self.depth {
            DEPTH_MAX => Err(too_deep()),
            depth => Ok(Self { depth: depth + 1, around: Around::Nothing, ..self }),
        }
    }

    #[inline]
    fn null(self) -> Result<(), Refused> {
        match self.around {
            Around::Nothing => Ok(()),
            Around::Option | Around::OptionOfRaw => Err(null_in_some()),
        }
    }
}

#[cold]
fn too_deep() -> Refused {
    ser::Error::custom(format_args!(
        "the value is nested more than {DEPTH_MAX} deep, which cannot be read back; send its parts as a list"
    ))
}

#[cold]
fn null_in_some() -> Refused {
    ser::Error::custom(
        "`Some` of what is written as `null` would be read as `None`; use an enum in place of the option",
    )
}

#[cold]
fn not_finite(value: impl Display, ty: &str) -> Refused {
    ser::Error::custom(format_args!("{value} cannot be written as JSON; use `Option<{ty}>` or a string"))
}

macro_rules! fine {
    ($($method:ident($ty:ty))*) => {$(
        #[inline]
        fn $method(self, _: $ty) -> Result<(), Refused> {
            Ok(())
        }
    )*};
}

impl Serializer for Check {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Elements;
    type SerializeTuple = Elements;
    type SerializeTupleStruct = Elements;
    type SerializeTupleVariant = Elements;
    type SerializeMap = Entries;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    fine! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_char(char)
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Refused> {
        if value.is_finite() { Ok(()) } else { Err(not_finite(value, "f32")) }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Refused> {
        if value.is_finite() { Ok(()) } else { Err(not_finite(value, "f64")) }
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Refused> {
        if self.around == Around::OptionOfRaw && value.trim() == "null" { self.null() } else { Ok(()) }
    }

    #[inline]
    fn serialize_bytes(self, _: &[u8]) -> Result<(), Refused> {
        // Bytes become an array of numbers.
        self.deeper().map(drop)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Refused> {
        self.null()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(Self { around: Around::Option, ..self })
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Refused> {
        self.null()
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        self.null()
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Refused> {
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self.deeper()?).map_err(|refused| refused.field(variant))
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Elements, Refused> {
        Ok(Elements { each: self.deeper()?, index: 0, variant: "" })
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Elements, Refused> {
        Ok(Elements { each: self.deeper()?, index: 0, variant: "" })
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements, Refused> {
        Ok(Elements { each: self.deeper()?, index: 0, variant: "" })
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Elements, Refused> {
        Ok(Elements { each: self.deeper()?.deeper()?, index: 0, variant })
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Entries, Refused> {
        // Maps know their length and have each key once; structs with `#[serde(flatten)]` do not.
        Ok(Entries { each: self.deeper()?, keys: length.is_none().then(HashSet::new) })
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields, Refused> {
        let each = match self.around {
            Around::Option if name == RAW_VALUE => Self { around: Around::OptionOfRaw, ..self },
            _ => self.deeper()?,
        };
        Ok(Fields { each, variant: "" })
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields, Refused> {
        Ok(Fields { each: self.deeper()?.deeper()?, variant })
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), Refused> {
        Ok(())
    }
}

/// An array.
struct Elements {
    each: Check,
    index: usize,
    /// The enum's variant; empty if this is no variant.
    variant: &'static str,
}

macro_rules! elements {
    ($($trait:ident $method:ident)*) => {$(
        impl ser::$trait for Elements {
            type Ok = ();
            type Error = Refused;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                let (index, variant) = (self.index, self.variant);
                self.index += 1;
                value.serialize(self.each).map_err(|refused| refused.index(index).variant(variant))
            }

            #[inline]
            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        }
    )*};
}
elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// A struct.
struct Fields {
    each: Check,
    /// The enum's variant; empty if this is no variant.
    variant: &'static str,
}

macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Fields {
            type Ok = ();
            type Error = Refused;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Refused> {
                let Self { each, variant } = *self;
                value.serialize(each).map_err(|refused| match each.around {
                    // The only field of a raw value belongs to serde_json, so the path does not contain it.
                    Around::OptionOfRaw => refused,
                    _ => refused.field(name).variant(variant),
                })
            }

            #[inline]
            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        }
    )*};
}
fields! { SerializeStruct SerializeStructVariant }

/// A map.
struct Entries {
    each: Check,
    /// The keys so far, if the map may have a key twice.
    keys: Option<HashSet<String>>,
}

impl ser::SerializeMap for Entries {
    type Ok = ();
    type Error = Refused;

    #[inline]
    fn serialize_key<K: Serialize + ?Sized>(&mut self, key: &K) -> Result<(), Refused> {
        if self.each.keys {
            serde_json::to_string(&Entry(key)).map_err(ser::Error::custom)?;
        }
        match &mut self.keys {
            Some(keys) => insert_once(keys, key_text(key)),
            None => Ok(()),
        }
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        // The caller that serializes key and value together adds the key to the path.
        value.serialize(self.each).map_err(|refused| refused.key(".."))
    }

    #[inline]
    fn serialize_entry<K: Serialize + ?Sized, T: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &T,
    ) -> Result<(), Refused> {
        self.serialize_key(key)?;
        value.serialize(self.each).map_err(|refused| refused.key(&key_text(key)))
    }

    #[inline]
    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

fn insert_once(keys: &mut HashSet<String>, key: String) -> Result<(), Refused> {
    if keys.contains(&key) {
        return Err(ser::Error::custom(format_args!(
            "the key \"{key}\" is written twice, which cannot be read back; rename the field or the key of the flattened map"
        )));
    }
    keys.insert(key);
    Ok(())
}

/// The text of a map's key, as in JSON, without quotes.
#[cold]
fn key_text<K: Serialize + ?Sized>(key: &K) -> String {
    match serde_json::to_string(key) {
        Ok(text) => text.trim_matches('"').to_owned(),
        // The serializer of the map reports the error.
        Err(_) => String::new(),
    }
}

/// A map with one key, to get serde_json's text or error for it.
struct Entry<'a, K: ?Sized>(&'a K);

impl<K: Serialize + ?Sized> Serialize for Entry<'_, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.0, 0)])
    }
}

#[cfg(test)]
mod tests;
