//! `everloop`: the engine as a server program, and commands about workflows.

mod arguments;
mod serve;
mod signals;
mod workflow;

use std::error::Error;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use self::arguments::{Arguments, BackupArguments, ProgramCommand};

/// The exit code of `sysexits.h` for an input or output error.
const IO_ERROR: u8 = 74;

fn main() -> ExitCode {
    let done = match Arguments::of_program().into_command() {
        ProgramCommand::Serve(settings) => serve::run(settings),
        ProgramCommand::Workflow(arguments) => workflow::run(arguments),
        ProgramCommand::Backup(arguments) => copy(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn(&explained(&*error));
            match error.downcast_ref::<serve::StoreFailed>() {
                Some(_) => ExitCode::from(IO_ERROR),
                None => ExitCode::FAILURE,
            }
        }
    }
}

fn copy(arguments: &BackupArguments) -> Result<(), Box<dyn Error>> {
    let bytes = everloop_server::backup(&arguments.db_filename, &arguments.file)?;
    let (copy, original) = (arguments.file.display(), arguments.db_filename.display());
    // The copy is complete, even if standard output is closed.
    let _ = writeln!(stdout(), "{copy} holds all of {original}: {bytes} bytes");
    Ok(())
}

/// Prints a line to standard error. Unlike `eprintln!`, it does not panic when standard error is closed.
fn warn(text: &str) {
    let _ = writeln!(stderr(), "everloop: {text}");
}

/// Formats the error and its causes on one line.
fn explained(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
