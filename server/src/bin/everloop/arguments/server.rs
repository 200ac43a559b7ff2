//! The command lines of the development server and of the test server, as launchers of other SDKs write them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Server {
    /// Run a server for development.
    StartDev(StartDev),
}

/// Run a test server, which can skip time.
#[derive(Debug, Args)]
pub(crate) struct TestServer {
    /// The port of the test server; 0 takes a free one.
    port: u16,
    /// Skip time from the start, not only when a client asks for it.
    #[arg(long)]
    enable_time_skipping: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StartDev {
    /// The port to listen on; 0 takes a free one.
    #[arg(short, long, default_value_t = 7233)]
    port: u16,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    ip: IpAddr,
    /// Allow addresses that other machines can reach, without encryption and authentication.
    #[arg(long)]
    insecure: bool,
    /// A namespace to create beside `default`; can be given several times.
    #[arg(short, long)]
    namespace: Vec<String>,
    /// The SQLite file for all data, created if missing; without it, data is kept in memory.
    #[arg(short = 'f', long, value_name = "FILE", value_parser = clap::builder::OsStringValueParser::new().map(PathBuf::from))]
    db_filename: Option<PathBuf>,
    /// Has no effect: there is no web UI.
    #[arg(long, value_name = "PORT")]
    ui_port: Option<u16>,
    /// Has no effect: there is no web UI.
    #[arg(long)]
    headless: bool,
    /// Has no effect: there are no custom search attributes.
    #[arg(long, value_name = "NAME=TYPE")]
    search_attribute: Vec<String>,
    /// Has no effect: there is no dynamic configuration.
    #[arg(long, value_name = "KEY=VALUE")]
    dynamic_config_value: Vec<String>,
    /// The lowest level of log lines, which go to standard error.
    #[arg(long, value_enum, default_value_t = LogLevel::Warn)]
    log_level: LogLevel,
    /// The format of log lines; `json` has no effect.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Pretty,
    Json,
}

/// The settings of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    /// Whether other machines may reach the address.
    pub(crate) is_insecure: bool,
    pub(crate) namespaces: Vec<String>,
    pub(crate) time: TimeMode,
    /// The file for all data; `None` for memory.
    pub(crate) database: Option<PathBuf>,
    pub(crate) log_level: LogLevel,
    /// A warning for each flag without effect.
    pub(crate) remarks: Vec<String>,
}

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeMode {
    Real,
    /// Real until a client unlocks time skipping.
    Locked,
    /// Skipped until a client locks time skipping.
    Skipping,
}

impl Server {
    pub(crate) fn settings(self) -> Settings {
        match self {
            Self::StartDev(start) => start.settings(),
        }
    }
}

impl StartDev {
    fn settings(self) -> Settings {
        let ignored = [
            (self.ui_port.is_some() && !self.headless, "--ui-port has no effect: this version has no pages"),
            (
                !self.search_attribute.is_empty(),
                "--search-attribute has no effect: this version has no custom search attributes",
            ),
            (
                !self.dynamic_config_value.is_empty(),
                "--dynamic-config-value has no effect: this server has no dynamic configuration",
            ),
            (self.log_format == LogFormat::Json, "--log-format json has no effect: this version logs plain text"),
        ];
        Settings {
            address: SocketAddr::new(self.ip, self.port),
            is_insecure: self.insecure,
            namespaces: self.namespace,
            time: TimeMode::Real,
            // Other launchers pass an empty name for no file.
            database: self.db_filename.filter(|file| !file.as_os_str().is_empty()),
            log_level: self.log_level,
            remarks: ignored.into_iter().filter(|(is_set, _)| *is_set).map(|(_, remark)| remark.to_owned()).collect(),
        }
    }
}

impl TestServer {
    pub(crate) fn settings(self) -> Settings {
        Settings {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port),
            is_insecure: false,
            namespaces: Vec::new(),
            time: if self.enable_time_skipping { TimeMode::Skipping } else { TimeMode::Locked },
            database: None,
            log_level: LogLevel::Warn,
            remarks: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, ProgramCommand};

    fn parse(arguments: &str) -> Result<ProgramCommand, clap::Error> {
        let arguments = ["everloop"].into_iter().chain(arguments.split_whitespace());
        Arguments::try_parse_from(arguments).map(Arguments::into_command)
    }

    fn settings(arguments: &str) -> Settings {
        match parse(arguments) {
            Ok(ProgramCommand::Serve(settings)) => settings,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(arguments: &str) -> String {
        parse(arguments).unwrap_err().to_string()
    }

    #[test]
    fn a_development_server_listens_on_the_default_port() {
        let expected = Settings {
            address: "127.0.0.1:7233".parse().unwrap(),
            is_insecure: false,
            namespaces: vec![],
            time: TimeMode::Real,
            database: None,
            log_level: LogLevel::Warn,
            remarks: vec![],
        };
        assert_eq!(settings("server start-dev"), expected);
    }

    #[test]
    fn the_flags_of_other_launchers_are_known() {
        let flags = "server start-dev --port 7001 --namespace shop -n bar --ip ::1 --log-format pretty --log-level never \
            --headless --ui-port 8233";
        let expected = Settings {
            address: "[::1]:7001".parse().unwrap(),
            is_insecure: false,
            namespaces: vec!["shop".to_owned(), "bar".to_owned()],
            time: TimeMode::Real,
            database: None,
            log_level: LogLevel::Never,
            remarks: vec![],
        };
        assert_eq!(settings(flags), expected);
    }

    #[test]
    fn flags_without_effect_are_reported_once_each() {
        let flags = "server start-dev --ui-port 8233 --search-attribute A=Text --search-attribute B=Int \
            --dynamic-config-value a=1 --log-format json";
        let remarks = settings(flags).remarks;
        let flags: Vec<_> = remarks.iter().map(|remark| remark.split(" has no effect").next().unwrap()).collect();
        assert_eq!(flags, ["--ui-port", "--search-attribute", "--dynamic-config-value", "--log-format json"]);
    }

    #[test]
    fn data_is_in_a_file_or_in_memory() {
        assert_eq!(settings("server start-dev --db-filename shop.db").database, Some("shop.db".into()));
        assert_eq!(settings("server start-dev -f shop.db").database, Some("shop.db".into()));
        assert_eq!(settings("server start-dev --db-filename=").database, None);
    }

    #[test]
    fn a_test_server_skips_time_at_once_or_after_an_unlock() {
        let locked = settings("7001");
        assert_eq!((locked.address, locked.time), ("127.0.0.1:7001".parse().unwrap(), TimeMode::Locked));
        assert_eq!(settings("7001 --enable-time-skipping").time, TimeMode::Skipping);
    }

    #[test]
    fn errors_name_the_wrong_part_of_the_command_line() {
        assert!(refusal("server start-dev --colour red").contains("--colour"));
        assert!(refusal("server start-dev --port 70000").contains("70000"));
        assert!(refusal("server start").contains("start"));
        assert!(refusal("cluster").contains("cluster"));
        assert!(refusal("7001 server start-dev").contains("server"));
        assert!(refusal("").contains("Usage"));
    }
}
