//! `loteria certificates`: an authority of one's own, and the certificates of a server and its agencies.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::value_parser;
use loteria_tools::certificates::{Authority, Certified, Keys, SERVER_NAMES, Subject};

/// Make a private authority and certificates, as TLS needs them
///
/// FOLDER/server and FOLDER/agency-N hold what each of them needs: certificate.pem, key.pem and ca.pem. Give each its folder
/// and no other. FOLDER/authority holds ca.key, with which more certificates are made: keep it offline. Files that are
/// there are kept, so a second call with more agencies adds those, and one without a removed folder makes that anew.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria certificates certificates --server-name loteria.example")]
pub struct Options {
    /// Folder to write into
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Number of agencies, 0 to 10000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(..=10_000))]
    agencies: u32,
    /// A DNS name or IP address of the server besides server, localhost, 127.0.0.1 and ::1; may be repeated
    #[arg(long, value_name = "NAME")]
    server_name: Vec<String>,
    /// Days until the certificates expire
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = value_parser!(u32).range(1..=3650))]
    days: u32,
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let authority = authority(&options.folder.join("authority"))?;
    let days = i64::from(options.days);
    let names: Vec<&str> = SERVER_NAMES.into_iter().chain(options.server_name.iter().map(String::as_str)).collect();
    let server = Subject { name: "server", names: &names, is_server: true, days };
    let mut made = issue(&authority, &options.folder, server)?;
    for agency in 1..=options.agencies {
        let name = format!("agency-{agency}");
        let subject = Subject { name: &name, names: &[&name], is_server: false, days };
        made += issue(&authority, &options.folder, subject)?;
    }
    // Nobody may listen.
    let _ = writeln!(io::stdout(), "{}: {made} certificates made", options.folder.display());
    Ok(())
}

/// The authority in `folder`, which is made if there is none.
fn authority(folder: &Path) -> Result<Authority, Box<dyn Error>> {
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    if key.exists() {
        let own = Certified { certificate: read(&certificate)?, key: read(&key)? };
        return Authority::load(own).map_err(|error| format!("{}: {error}", key.display()).into());
    }
    let authority = Authority::new(Keys::P256)?;
    fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
    write(&key, &authority.own().key, 0o600)?;
    write(&certificate, &authority.own().certificate, 0o644)?;
    Ok(authority)
}

/// Makes the folder of `subject`, unless it has a key. Gives the number of certificates made.
fn issue(authority: &Authority, folder: &Path, subject: Subject<'_>) -> Result<u32, Box<dyn Error>> {
    let folder = folder.join(subject.name);
    let key = folder.join("key.pem");
    if key.exists() {
        return Ok(0);
    }
    let Certified { certificate, key: private } =
        authority.issue(subject).map_err(|error| format!("a certificate for {}: {error}", subject.names.join(", ")))?;
    fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
    write(&folder.join("ca.pem"), &authority.own().certificate, 0o644)?;
    write(&folder.join("certificate.pem"), &certificate, 0o644)?;
    // Last: a folder with a key is complete.
    write(&key, &private, 0o600)?;
    Ok(1)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| at(path, &error))
}

/// Writes a whole file in place of any other.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let written = match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new().write(true).create_new(true).mode(mode).open(path),
    };
    written.and_then(|mut file: File| file.write_all(text.as_bytes())).map_err(|error| at(path, &error))
}

fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
