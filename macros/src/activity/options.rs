//! The options of `#[activity(..)]`.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{LitStr, Path};

use crate::diagnostics::Errors;
use crate::options::{Options, WrittenDuration};

const KEYS: &[&str] = &[
    "name",
    "start_to_close_timeout",
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "heartbeat_timeout",
    "heartbeat",
    "retry_policy",
    "cancellation_type",
    "crate",
];

const RETRY_KEYS: &[&str] =
    &["initial_interval", "backoff_coefficient", "maximum_interval", "maximum_attempts", "non_retryable_error_types"];

const CANCELLATION_TYPES: &[(&str, &str)] = &[
    ("try_cancel", "TryCancel"),
    ("wait_cancellation_completed", "WaitCancellationCompleted"),
    ("abandon", "Abandon"),
];

/// The server's defaults.
const DEFAULT_INITIAL_INTERVAL: Duration = Duration::from_secs(1);

/// The options of an activity's attribute.
#[derive(Clone, Default)]
pub(crate) struct ActivityOptions {
    /// The name on the wire, if it is not the function's own.
    pub(crate) name: Option<LitStr>,
    pub(crate) root: Option<Path>,
    /// Calls on the builder: the option's name and its value.
    timeouts: Vec<(&'static str, WrittenDuration)>,
    retry_policy: Option<RetryPolicy>,
    cancellation_type: Option<&'static str>,
    /// The word `auto` of `heartbeat = auto`.
    auto_heartbeat: Option<Span>,
}

#[derive(Clone)]
struct RetryPolicy {
    initial_interval: Option<WrittenDuration>,
    backoff_coefficient: Option<f64>,
    maximum_interval: Option<WrittenDuration>,
    maximum_attempts: Option<u32>,
    non_retryable_error_types: Option<Vec<LitStr>>,
}

impl ActivityOptions {
    pub(crate) fn read(mut options: Options<'_>, errors: &Errors) -> Self {
        options.not_yet("process", "a plain `fn` runs on a pool of threads");
        options.not_yet("local", "leave it out: the activity runs on a worker that has it");
        let timeouts =
            ["start_to_close_timeout", "schedule_to_close_timeout", "schedule_to_start_timeout", "heartbeat_timeout"];
        let read = Self {
            name: options.name(),
            root: options.crate_path(),
            timeouts: timeouts.into_iter().filter_map(|key| Some((key, options.duration(key)?))).collect(),
            retry_policy: options.list("retry_policy").map(|list| RetryPolicy::read(list, errors)),
            cancellation_type: options.word("cancellation_type", CANCELLATION_TYPES),
            auto_heartbeat: options.word_at("heartbeat", &[("auto", ())]).map(|((), at)| at),
        };
        options.finish("#[activity]", KEYS);
        read.check_timeouts(errors);
        read
    }

    fn timeout(&self, key: &str) -> Option<&WrittenDuration> {
        self.timeouts.iter().find_map(|(name, limit)| (*name == key).then_some(limit))
    }

    /// Rejects limits that can never be reached, because a shorter one ends the activity first.
    fn check_timeouts(&self, errors: &Errors) {
        let within = [
            ("start_to_close_timeout", "schedule_to_close_timeout", "which all attempts share"),
            ("schedule_to_start_timeout", "schedule_to_close_timeout", "which includes that wait"),
            ("heartbeat_timeout", "start_to_close_timeout", "in which the attempt ends"),
            ("heartbeat_timeout", "schedule_to_close_timeout", "in which the activity ends"),
        ];
        let mut reported: Option<&str> = None;
        for (inner_key, outer_key, why) in within {
            let (Some(inner), Some(outer)) = (self.timeout(inner_key), self.timeout(outer_key)) else { continue };
            if inner.value > outer.value && reported != Some(inner_key) {
                reported = Some(inner_key);
                let limit = outer.text.value();
                errors.minor(
                    &inner.text,
                    format!(
                        "`{inner_key}` is longer than `{outer_key} = \"{limit}\"`, {why}; write at most \"{limit}\""
                    ),
                );
            }
        }
    }

    /// Rejects a heartbeat limit on an activity that cannot send heartbeats, and automatic heartbeats of a function that blocks.
    pub(crate) fn check_heartbeat(&self, has_context: bool, is_async: bool, errors: &Errors) {
        if let Some(at) = self.auto_heartbeat {
            if !is_async {
                errors.minor_at(
                    at,
                    "the worker cannot see what progress a plain `fn` makes; write `async fn`, or call `ctx.heartbeat(..)` and \
                     leave `heartbeat` out",
                );
            }
            return;
        }
        if let (Some(limit), false) = (self.timeout("heartbeat_timeout"), has_context) {
            errors.minor(
                &limit.text,
                "without a context this activity cannot heartbeat, so each attempt would end after this time; take \
                 `ctx: &ActivityContext` and call `ctx.heartbeat(..)`, write `heartbeat = auto`, or leave `heartbeat_timeout` out",
            );
        }
    }

    /// Rejects automatic heartbeats of a definition, which has nothing that could send them.
    pub(crate) fn check_heartbeat_of_definition(&self, errors: &Errors) {
        if let Some(at) = self.auto_heartbeat {
            errors.minor_at(at, "`heartbeat` says how the body reports its progress; write it where the body is");
        }
    }

    /// `const AUTO_HEARTBEAT` of the activity, if it differs from the trait's.
    pub(crate) fn auto_heartbeat(&self) -> Option<TokenStream> {
        self.auto_heartbeat.map(|_| {
            quote!(
                const AUTO_HEARTBEAT: bool = true;
            )
        })
    }

    /// The value of `Activity::OPTIONS`.
    pub(crate) fn builder(&self, private: &TokenStream) -> TokenStream {
        let timeouts = self.timeouts.iter().map(|(key, limit)| setter(key, &limit.tokens(private)));
        let retry_policy = self.retry_policy.as_ref().map(|policy| setter("retry_policy", &policy.builder(private)));
        let cancellation_type = self.cancellation_type.map(|variant| {
            let variant = ident(variant);
            setter("cancellation_type", &quote!(#private::ActivityCancellationType::#variant))
        });
        quote!(#private::ActivityOptions::new() #(#timeouts)* #retry_policy #cancellation_type)
    }
}

impl RetryPolicy {
    fn read(mut options: Options<'_>, errors: &Errors) -> Self {
        let coefficient = options.number("backoff_coefficient");
        if let Some((_, span)) = coefficient.filter(|(number, _)| *number < 1.0) {
            errors.minor_at(span, "`backoff_coefficient` is at least 1: each wait is that many times the one before");
        }
        let read = Self {
            initial_interval: options.duration("initial_interval"),
            backoff_coefficient: coefficient.map(|(number, _)| number),
            maximum_interval: options.duration("maximum_interval"),
            maximum_attempts: options.count("maximum_attempts"),
            non_retryable_error_types: options.texts("non_retryable_error_types"),
        };
        options.finish("retry_policy", RETRY_KEYS);
        read.check_intervals(errors);
        read
    }

    /// Rejects a maximum interval that is shorter than the initial one, as the server does.
    fn check_intervals(&self, errors: &Errors) {
        let Some(maximum) = &self.maximum_interval else { return };
        match &self.initial_interval {
            Some(initial) if initial.value > maximum.value => {
                let initial = initial.text.value();
                errors.minor(
                    &maximum.text,
                    format!(
                        "`maximum_interval` is shorter than `initial_interval = \"{initial}\"`; write at least \"{initial}\""
                    ),
                );
            }
            None if maximum.value < DEFAULT_INITIAL_INTERVAL => {
                let first = maximum.text.value();
                errors.minor(
                    &maximum.text,
                    format!(
                        "`maximum_interval` is shorter than the first interval, which is 1s unless it is set; write \
                         `initial_interval = \"{first}\"` too"
                    ),
                );
            }
            _ => {}
        }
    }

    fn builder(&self, private: &TokenStream) -> TokenStream {
        let initial = self.initial_interval.as_ref().map(|it| setter("initial_interval", &it.tokens(private)));
        let coefficient = self.backoff_coefficient.map(|it| setter("backoff_coefficient", &quote!(#it)));
        let maximum = self.maximum_interval.as_ref().map(|it| setter("maximum_interval", &it.tokens(private)));
        let attempts = self.maximum_attempts.map(|it| setter("maximum_attempts", &quote!(#it)));
        let types = self.non_retryable_error_types.as_ref();
        let types = types.map(|types| setter("non_retryable_error_types", &quote!(&[#(#types),*])));
        quote!(#private::RetryPolicy::new() #initial #coefficient #maximum #attempts #types)
    }
}

fn setter(name: &str, value: &TokenStream) -> TokenStream {
    let name = ident(name);
    quote!(.#name(#value))
}

fn ident(name: &str) -> syn::Ident {
    syn::Ident::new(name, Span::mixed_site())
}
