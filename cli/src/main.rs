//! The command that users of nova run.

use std::process::ExitCode;

fn main() -> ExitCode {
    nova_cli::main()
}
