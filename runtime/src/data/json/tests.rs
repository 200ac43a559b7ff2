//! Values that encode without an error decode to themselves.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::data::{decode, encode};

/// Encodes and decodes a value; `Err` has the reason why the value is rejected.
fn there_and_back<T: Serialize + DeserializeOwned + fmt::Debug + 'static>(value: &T) -> Result<T, String> {
    let payload = encode(value).map_err(|error| error.cause)?;
    Ok(decode(&payload).unwrap_or_else(|error| panic!("{value:?} was written and cannot be read: {error}")))
}

fn refused<T: Serialize + DeserializeOwned + fmt::Debug + 'static>(value: T) -> String {
    match there_and_back(&value) {
        Err(cause) => cause,
        Ok(other) => panic!("{value:?} was written, and read as {other:?}"),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    price: f64,
    note: Option<Option<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    items: Vec<Item>,
    rates: BTreeMap<String, f32>,
    shipping: Shipping,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shipping {
    None,
    Weight(f64),
    Size(f64, f64),
    Box { height: f64 },
}

fn order() -> Order {
    let item = Item { price: 1.5, note: Some(Some("fragile".into())) };
    Order { items: vec![item; 4], rates: BTreeMap::from([("eur".into(), 1.0)]), shipping: Shipping::None }
}

const NAN: &str = "NaN cannot be written as JSON; use `Option<f64>` or a string";
const IN_SOME: &str = "`Some` of what is written as `null` would be read as `None`; use an enum in place of the option";

#[test]
fn a_number_that_json_does_not_have_is_refused_by_its_field() {
    let mut wrong = order();
    wrong.items[3].price = f64::NAN;
    assert_eq!(refused(wrong), format!("items[3].price: {NAN}"));
    let mut wrong = order();
    wrong.rates.insert("chf".into(), f32::NEG_INFINITY);
    assert_eq!(refused(wrong), "rates[\"chf\"]: -inf cannot be written as JSON; use `Option<f32>` or a string");
    let shipped = |shipping| refused(Order { shipping, ..order() });
    assert_eq!(shipped(Shipping::Weight(f64::NAN)), format!("shipping.Weight: {NAN}"));
    assert_eq!(shipped(Shipping::Size(1.0, f64::NAN)), format!("shipping.Size[1]: {NAN}"));
    assert_eq!(shipped(Shipping::Box { height: f64::NAN }), format!("shipping.Box.height: {NAN}"));
    assert_eq!(refused(Some(f64::NAN)), NAN);
    assert_eq!(refused((1, [0.0, f64::NAN])), format!("[1][1]: {NAN}"));
}

#[test]
fn some_of_nothing_is_refused() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newtype(Option<u8>);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Nothing,
        Number(u8),
    }
    let mut wrong = order();
    wrong.items[1].note = Some(None);
    assert_eq!(refused(wrong), format!("items[1].note: {IN_SOME}"));
    assert_eq!(refused(Some(())), IN_SOME);
    assert_eq!(refused(Some(Unit)), IN_SOME);
    assert_eq!(refused(Some(Newtype(None))), IN_SOME);
    assert_eq!(refused(Some(Untagged::Nothing)), IN_SOME);
    assert_eq!(refused(Some(serde_json::Value::Null)), IN_SOME);
    // Similar values that decode to themselves.
    assert_eq!(there_and_back(&Some(vec![()])), Ok(Some(vec![()])));
    assert_eq!(there_and_back(&Some((None::<u8>,))), Ok(Some((None::<u8>,))));
    assert_eq!(there_and_back(&Some(Untagged::Number(1))), Ok(Some(Untagged::Number(1))));
    assert_eq!(there_and_back(&vec![None, Some(1)]), Ok(vec![None, Some(1)]));
    assert_eq!(there_and_back(&Newtype(None)), Ok(Newtype(None)));
    assert_eq!(there_and_back(&serde_json::Value::Null), Ok(serde_json::Value::Null));
}

#[test]
fn some_of_json_that_is_null_is_refused() {
    /// Serializes as serde_json's `RawValue` does.
    struct Raw(&'static str);
    impl Serialize for Raw {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeStruct;
            let mut raw = serializer.serialize_struct(super::RAW_VALUE, 1)?;
            raw.serialize_field(super::RAW_VALUE, self.0)?;
            raw.end()
        }
    }
    let cause = encode(&vec![Some(Raw("1")), Some(Raw(" null"))]).unwrap_err().cause;
    assert_eq!(cause, format!("[1]: {IN_SOME}"));
    assert!(encode(&vec![Some(Raw("[null]")), None]).is_ok());
    assert!(encode(&Raw("null")).is_ok());
}

/// A linked list: each object is nested in another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Link {
    next: Option<Box<Link>>,
}

impl Link {
    fn chain(length: usize) -> Self {
        (1..length).fold(Self { next: None }, |next, _| Self { next: Some(Box::new(next)) })
    }
}

#[test]
fn nesting_is_refused_where_reading_ends() {
    assert_eq!(there_and_back(&Link::chain(127)), Ok(Link::chain(127)));
    let too_deep =
        "next.next.next.next.next.next.next.next.next.next.next.next…: the value is nested more than 127 deep";
    let cause = refused(Link::chain(128));
    assert!(cause.starts_with(too_deep), "{cause}");
    // Deeper levels are not checked.
    assert!(refused(Link::chain(2_000)).starts_with(too_deep));
    // A variant with fields is nested two levels deep.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Tree {
        Leaf,
        Node(Box<Tree>),
        Pair(Box<Tree>, u8),
        Named { tree: Box<Tree> },
    }
    let grow =
        |levels: usize, tree: fn(Box<Tree>) -> Tree| (0..levels).fold(Tree::Leaf, |inner, _| tree(Box::new(inner)));
    for (levels, tree) in [
        (127, (|tree| Tree::Node(tree)) as fn(Box<Tree>) -> Tree),
        (63, |tree| Tree::Pair(tree, 1)),
        (63, |tree| Tree::Named { tree }),
    ] {
        assert_eq!(there_and_back(&grow(levels, tree)), Ok(grow(levels, tree)));
        assert!(refused(grow(levels + 1, tree)).contains("nested more than 127 deep"));
    }
}

#[test]
fn a_key_that_is_written_twice_is_refused() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        others: BTreeMap<String, u8>,
    }
    let flat = |key: &str| vec![Flat { id: 1, others: BTreeMap::from([(key.to_owned(), 2)]) }];
    assert_eq!(there_and_back(&flat("other")), Ok(flat("other")));
    assert!(refused(flat("id")).starts_with("[0]: the key \"id\" is written twice"), "{}", refused(flat("id")));
}

#[test]
fn a_key_that_is_no_string_is_refused_by_its_field() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Board {
        fields: HashMap<(u8, u8), u8>,
    }
    assert_eq!(refused(Board { fields: HashMap::from([((1, 2), 3)]) }), "fields: key must be a string");
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    enum Key {
        Left,
    }
    let numbers = BTreeMap::from([(-5i128, 'x'), (i128::MAX, 'y')]);
    assert_eq!(there_and_back(&numbers), Ok(numbers.clone()));
    let words = BTreeMap::from([(Key::Left, true)]);
    assert_eq!(there_and_back(&words), Ok(words.clone()));
    let letters = BTreeMap::from([('a', false)]);
    assert_eq!(there_and_back(&letters), Ok(letters.clone()));
}

/// A nested value of any kind in serde's data model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Anything {
    Unit,
    Bool(bool),
    Small(f32),
    Float(f64),
    Long(i128),
    Unsigned(u128),
    Text(String),
    Char(char),
    Bytes(bytes::Bytes),
    Nothing(()),
    Option(Option<Box<Anything>>),
    Twice(Option<Option<u8>>),
    MaybeNothing(Option<()>),
    MaybeValue(Option<serde_json::Value>),
    List(Vec<Anything>),
    Pair(Box<Anything>, f64),
    Named { first: Box<Anything>, second: Option<f64> },
    Numbered(BTreeMap<i64, Anything>),
    Map(BTreeMap<String, Anything>),
    Json(serde_json::Value),
}

impl Anything {
    /// Whether the value decodes to itself, computed without the code under test.
    fn comes_back(&self) -> bool {
        match self {
            Self::Small(number) => number.is_finite(),
            Self::Float(number) => number.is_finite(),
            Self::Twice(twice) => *twice != Some(None),
            Self::MaybeNothing(nothing) => nothing.is_none(),
            Self::MaybeValue(value) => *value != Some(serde_json::Value::Null),
            Self::Option(inner) => inner.as_ref().is_none_or(|inner| inner.comes_back()),
            Self::List(list) => list.iter().all(Self::comes_back),
            Self::Pair(first, second) => first.comes_back() && second.is_finite(),
            Self::Named { first, second } => first.comes_back() && second.is_none_or(f64::is_finite),
            Self::Numbered(map) => map.values().all(Self::comes_back),
            Self::Map(map) => map.values().all(Self::comes_back),
            _ => true,
        }
    }
}

fn anything() -> impl Strategy<Value = Anything> {
    use serde_json::Value;
    let float = || prop_oneof![8 => any::<f64>(), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(-0.0)];
    let json = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    let leaf = prop_oneof![
        Just(Anything::Unit),
        Just(Anything::Nothing(())),
        any::<bool>().prop_map(Anything::Bool),
        any::<f32>().prop_map(Anything::Small),
        float().prop_map(Anything::Float),
        any::<i128>().prop_map(Anything::Long),
        any::<u128>().prop_map(Anything::Unsigned),
        any::<String>().prop_map(Anything::Text),
        any::<char>().prop_map(Anything::Char),
        any::<Vec<u8>>().prop_map(|bytes| Anything::Bytes(bytes.into())),
        prop_oneof![3 => any::<Option<Option<u8>>>(), 1 => Just(Some(None))].prop_map(Anything::Twice),
        prop_oneof![3 => Just(None), 1 => Just(Some(()))].prop_map(Anything::MaybeNothing),
        proptest::option::of(json.clone()).prop_map(Anything::MaybeValue),
        json.prop_map(Anything::Json),
    ];
    leaf.prop_recursive(6, 24, 4, move |inner| {
        prop_oneof![
            proptest::option::of(inner.clone()).prop_map(|inner| Anything::Option(inner.map(Box::new))),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Anything::List),
            (inner.clone(), float()).prop_map(|(first, second)| Anything::Pair(Box::new(first), second)),
            (inner.clone(), proptest::option::of(float()))
                .prop_map(|(first, second)| Anything::Named { first: Box::new(first), second }),
            proptest::collection::btree_map(any::<i64>(), inner.clone(), 0..3).prop_map(Anything::Numbered),
            proptest::collection::btree_map(any::<String>(), inner, 0..3).prop_map(Anything::Map),
        ]
    })
}

proptest! {
    #[test]
    fn what_encodes_without_an_error_decodes_to_itself(value in anything()) {
        match there_and_back(&value) {
            Ok(back) => prop_assert_eq!(&back, &value),
            Err(cause) => prop_assert!(!value.comes_back(), "refused without need: {}", cause),
        }
        prop_assert_eq!(encode(&value).is_ok(), value.comes_back());
    }
}
