//! `loteria completions` and `loteria man`: what a shell and man(1) know of the tool. Both are made from the arguments that it has.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

/// Print the completions of a shell
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria completions bash > ~/.local/share/bash-completion/completions/loteria
  loteria completions fish > ~/.config/fish/completions/loteria.fish
  loteria completions zsh > ~/.zfunc/_loteria        where ~/.zfunc is in fpath")]
pub struct CompletionOptions {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write those of all subcommands
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria man | man -l -
  loteria man ~/.local/share/man/man1 && man loteria-backup")]
pub struct ManOptions {
    /// Folder to write loteria.1, loteria-demo.1, ... into; it is made if it is missing
    #[arg(value_name = "FOLDER")]
    into: Option<PathBuf>,
}

pub fn complete(options: &CompletionOptions, mut command: Command) {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, "loteria", &mut script);
    crate::print(&script);
}

pub fn manual(options: &ManOptions, command: Command) -> Result<(), Box<dyn Error>> {
    // There is no page for it.
    let command = command.disable_help_subcommand(true);
    if let Some(folder) = &options.into {
        let at = |error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(at)?;
        clap_mangen::generate_to(command, folder).map_err(at)?;
        return Ok(());
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    crate::print(&page);
    Ok(())
}
