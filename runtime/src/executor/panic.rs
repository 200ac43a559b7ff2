//! Panics of user code, caught with the line that raised them.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// A caught panic.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Panic {
    pub(crate) message: String,
    /// The place as `file:line:column`; set after [`install_hook`] was called.
    pub(crate) location: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

impl Panic {
    /// Advice for the message of a panic: the functions to call in place of tokio's.
    pub(crate) fn advice(&self) -> &'static str {
        match self.message.contains("there is no reactor running") || self.message.contains("Tokio 1.x runtime") {
            true => {
                "; workflow code runs outside of tokio: write `everloop::workflow::sleep(..)` or `timeout(..)` for time, \
                 `spawn(..)` for concurrency, and move everything else that needs tokio (network, files, \
                 `spawn_blocking`) into an activity"
            }
            false => "",
        }
    }
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs user code, and returns a panic as a value. The caller reports the panic, so the hook prints nothing.
pub(crate) fn catch<R>(code: impl FnOnce() -> R) -> Result<R, Panic> {
    let outer = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(code));
    CATCHING.set(outer);
    result.map_err(Panic::from_payload)
}

/// Drops values of user code, whose destructors may panic.
pub(crate) fn discard<T>(values: T) -> Result<(), Panic> {
    catch(|| drop(values))
}

impl Panic {
    /// Converts a panic that `catch_unwind` returned on this thread.
    pub(crate) fn from_payload(payload: Box<dyn Any + Send>) -> Self {
        let location = LOCATION.take();
        let message = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(text) => (*text).to_owned(),
                Err(payload) => {
                    // The value's destructor may panic as well. That second panic is leaked, since its destructor may panic, too.
                    let outer = CATCHING.replace(true);
                    if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                        std::mem::forget(next);
                    }
                    CATCHING.set(outer);
                    "a value that is not text".to_owned()
                }
            },
        };
        Self { message, location }
    }
}

/// Installs a hook that records the places of panics of user code. The previous hook receives other panics. Only the first
/// call has an effect.
pub(crate) fn install_hook() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            // An ending thread may have no thread-locals any more.
            if CATCHING.try_with(Cell::get).unwrap_or(false) {
                let location = info.location().map(ToString::to_string);
                let _ = LOCATION.try_with(|slot| *slot.borrow_mut() = location);
            } else {
                previous(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_names_its_line() {
        install_hook();
        let panic = catch(|| panic!("no {}", "stock")).unwrap_err();
        assert_eq!(panic.message, "no stock");
        assert!(panic.location.unwrap().contains("panic.rs:"));
        assert_eq!(catch(|| 5), Ok(5));
    }

    /// Panics on drop, with another value of this type.
    struct Grenade(u32);

    impl Drop for Grenade {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                std::panic::panic_any(Grenade(self.0 + 1));
            }
        }
    }

    #[test]
    fn a_panic_whose_value_panics_is_still_caught() {
        install_hook();
        let panic = catch(|| std::panic::panic_any(Grenade(0))).unwrap_err();
        assert_eq!(panic.message, "a value that is not text");
        assert!(panic.location.unwrap().contains("panic.rs:"));
        assert!(discard(Grenade(0)).is_err());
    }

    #[test]
    fn panic_of_tokio_names_the_replacement_in_workflow_code() {
        install_hook();
        let advice = |code: fn()| catch(code).unwrap_err().advice();
        assert!(advice(|| drop(tokio::time::sleep(std::time::Duration::ZERO))).contains("everloop::workflow::sleep"));
        assert!(advice(|| drop(tokio::spawn(async {}))).contains("into an activity"));
        assert!(advice(|| drop(tokio::runtime::Handle::current())).contains("into an activity"));
        assert_eq!(advice(|| panic!("no stock")), "");
    }
}
