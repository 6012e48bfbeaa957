use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{arguments::Arguments, context::Context, failure::Exit};

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nova-cli completions bash > ~/.local/share/bash-completion/completions/nova-cli
  nova-cli completions zsh > ~/.zfunc/_nova-cli
  nova-cli completions fish > ~/.config/fish/completions/nova-cli.fish")]
pub struct Completions {
    /// Which shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub fn run(self, context: &Context) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "nova-cli", &mut script);
        context.env.stdout.write(&script)?;
        Ok(Exit::Done)
    }
}
