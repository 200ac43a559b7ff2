//! `State<T>`: a field that a workflow's methods share.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;
use std::task::Waker;

use serde::{Serialize, Serializer};

use crate::executor::current;

/// A field that all methods of a workflow share through `&self`: `run`, its handlers and its queries.
///
/// Values are copied ([`get`](Self::get)), read ([`with`](Self::with)) or changed ([`set`](Self::set),
/// [`update`](Self::update)); no borrow can be held across an await. The type works outside of runs, in plain unit tests.
///
/// ```
/// use everloop::State;
///
/// let paid = State::new(3);
/// paid.update(|paid| *paid += 4);
/// assert_eq!(paid.get(), 7);
/// ```
///
/// # Panics
/// A write in a query or validator panics, which fails that query or rejects that update. An access inside of a closure that
/// accesses the same field panics as well, unless both only read; the message names both lines.
#[derive(Default)]
pub struct State<T> {
    value: RefCell<T>,
    /// The line of the current access, for the message of a nested access.
    holder: Cell<Option<&'static Location<'static>>>,
    /// The coroutines that wait for a change.
    waiting: RefCell<Vec<Waker>>,
}

impl<T> State<T> {
    /// A field with this value.
    pub fn new(value: T) -> Self {
        Self { value: RefCell::new(value), holder: Cell::new(None), waiting: RefCell::default() }
    }

    /// Passes the value to a closure and returns its result.
    #[track_caller]
    pub fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        let here = Location::caller();
        let Ok(value) = self.value.try_borrow() else { self.refuse("read", here) };
        // A read inside a read is allowed; a nested write reports the outermost read.
        let outer = self.holder.replace(self.holder.get().or(Some(here)));
        let _release = Release(&self.holder, outer);
        read(&value)
    }

    /// Returns a copy of the value.
    #[track_caller]
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// Changes the value in place and returns the closure's result.
    #[track_caller]
    pub fn update<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
        let here = Location::caller();
        current::refuse_write(here);
        let result = {
            let Ok(mut value) = self.value.try_borrow_mut() else { self.refuse("written", here) };
            let outer = self.holder.replace(Some(here));
            let _release = Release(&self.holder, outer);
            write(&mut value)
        };
        for waker in self.waiting.take() {
            waker.wake();
        }
        result
    }

    /// Sets the value.
    #[track_caller]
    pub fn set(&self, value: T) {
        drop(self.replace(value));
    }

    /// Replaces the value and returns the old one.
    #[track_caller]
    pub fn replace(&self, value: T) -> T {
        self.update(|old| std::mem::replace(old, value))
    }

    /// Replaces the value by the default and returns the old one.
    #[track_caller]
    pub fn take(&self) -> T
    where
        T: Default,
    {
        self.replace(T::default())
    }

    pub(super) fn wake_on_change(&self, waker: &Waker) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    fn refuse(&self, access: &str, here: &Location<'_>) -> ! {
        match self.holder.get() {
            Some(holder) => panic!(
                "a `State` is {access} at {here} while the closure given to it at {holder} still has it: copy the value out first"
            ),
            None => panic!("a `State` is {access} at {here} while it is in use"),
        }
    }
}

/// Operations on lists.
impl<T> State<Vec<T>> {
    /// Appends a value.
    #[track_caller]
    pub fn push(&self, value: T) {
        self.update(|list| list.push(value));
    }

    /// The number of values.
    #[track_caller]
    pub fn len(&self) -> usize {
        self.with(Vec::len)
    }

    /// Whether the list is empty.
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.with(Vec::is_empty)
    }
}

/// Operations on numbers.
impl<T: Copy + std::ops::Add<Output = T>> State<T> {
    /// Adds to the value and returns the sum.
    #[track_caller]
    pub fn add(&self, amount: T) -> T {
        self.update(|value| {
            *value = *value + amount;
            *value
        })
    }
}

struct Release<'a>(&'a Cell<Option<&'static Location<'static>>>, Option<&'static Location<'static>>);
impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

impl<T> From<T> for State<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|value| value.fmt(f))
    }
}

impl<T: Serialize> Serialize for State<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with(|value| value.serialize(serializer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_access_names_both_lines() {
        let state = State::new(1);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| state.with(|_| state.set(2))));
        let message = *caught.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(message.matches("state.rs").count(), 2, "{message}");
        state.set(3);
        assert_eq!(state.with(|outer| state.with(|inner| outer + inner)), 6);
    }

    #[test]
    fn it_shows_as_its_value() {
        let list = State::new(vec![1]);
        list.push(2);
        assert_eq!(format!("{list:?}"), "[1, 2]");
        assert_eq!(serde_json::to_string(&list).unwrap(), "[1,2]");
        assert_eq!(State::new(5).add(2), 7);
    }
}
