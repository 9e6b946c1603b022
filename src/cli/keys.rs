//! `spinelift keys`: who may call, changed while the service runs.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chrono::DateTime;
use clap::{Args, Subcommand};
use spinelift::config::{Config, DatabaseKind, Flags, StorageBackend};
use spinelift::key::{Digest, LONGEST_NAME, Limit, Links, Rate, SECRET_BYTES, Scope, Scopes, is_name, secret_of};
use spinelift::keyring::LOOK_AGAIN;
use spinelift::store::postgres::{PostgresOptions, PostgresStore, Tables};
use spinelift::store::sqlite::SqliteFile;
use spinelift::store::{KeyId, KeyStore, NewKey, Store, StoredKey};
use tokio::runtime::Builder;

use super::{EXIT_FAILED, Usage, say, settings};

/// Add, list and revoke API keys
///
/// They are kept in the database that DATABASE_URL names, in the environment or in `.env` in this folder; `add` makes it
/// if need be. A service that runs hears of each change within two seconds. Once there is a key, every caller needs
/// one, also when all of them are revoked. Keys of the setting API_KEYS hold beside them.
///
/// Examples:
///
///   spinelift keys add rails
///   spinelift keys add studio --rate 1200/60s > studio.key
///   spinelift keys add prometheus --scope admin
///   spinelift keys add web --result-links storage
///   spinelift keys list
///   spinelift keys revoke 3
///
/// Exit status: 0 done, 1 the database cannot be used, 2 wrong arguments or settings, or no such key.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a key and print its secret, once and alone, on standard output
    ///
    /// Jobs belong to the name: while a secret is being changed, two keys may have one name.
    Add(AddArgs),
    /// List every key, without its secret
    List,
    /// Revoke a key for good, and the links to results that were signed with it
    Revoke {
        /// A key's number in the list, or a name, for all keys that have it
        #[arg(value_name = "NAME|ID")]
        which: String,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Who has the key: 1 to 64 letters, digits, `_` or `-`, not digits alone
    name: String,

    /// What it may do, several with commas: submit and call off jobs, read jobs and results, admin for /metrics
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', default_values = ["submit", "read"])]
    scope: Vec<Scope>,

    /// How many requests it may make in a time, such as 600/60s, 600/1m or 5000/1h; `none` for any number
    /// [default: RATE_LIMIT]
    #[arg(long, value_parser = limit)]
    rate: Option<Limit>,

    /// Where the `result_url` of its jobs leads: to this service, or straight to the bucket, which needs
    /// STORAGE_BACKEND=s3 [default: RESULT_LINKS]
    #[arg(long, value_name = "service|storage", value_parser = links)]
    result_links: Option<Links>,
}

fn links(text: &str) -> Result<Links, String> {
    text.parse()
}

fn limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit::Unlimited);
    }
    text.parse::<Rate>().map(Limit::Own).map_err(|error| error.to_string())
}

pub(super) fn run(args: &KeysArgs) -> anyhow::Result<ExitCode> {
    let config = settings::read(&Flags::default())?;
    if let What::Add(add) = &args.what {
        expect_name(&add.name)?;
        expect_bucket(add, &config)?;
    }
    let runtime = Builder::new_current_thread().enable_all().build().context("the system gives no threads")?;
    match runtime.block_on(apply(&config, &args.what)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is::<Usage>() || super::is_closed_pipe(&error) => Err(error),
        Err(error) => {
            say(format_args!("{error:#}"));
            Ok(ExitCode::from(EXIT_FAILED))
        }
    }
}

/// A name that cannot be taken for a number of the list.
fn expect_name(name: &str) -> Result<(), Usage> {
    if is_name(name) && !name.bytes().all(|c| c.is_ascii_digit()) {
        return Ok(());
    }
    let name: String = name.chars().take(LONGEST_NAME + 1).collect();
    Err(Usage(format!(
        "{name:?} cannot name a key; use 1 to {LONGEST_NAME} letters, digits, `_` or `-`, and not digits alone"
    )))
}

/// Links to the storage need one that callers can reach.
fn expect_bucket(add: &AddArgs, config: &Config) -> Result<(), Usage> {
    if add.result_links != Some(Links::Storage) || config.storage.backend == StorageBackend::S3 {
        return Ok(());
    }
    Err(Usage(
        "--result-links storage needs a bucket to lead to, and STORAGE_BACKEND is local; run this with the service's \
         settings, or leave it out"
            .into(),
    ))
}

async fn apply(config: &Config, what: &What) -> anyhow::Result<()> {
    match config.database.kind() {
        DatabaseKind::File(path) => {
            let is_new = !path.exists();
            let file = match what {
                What::Add(_) => SqliteFile::open(&path).await?,
                What::List | What::Revoke { .. } => SqliteFile::open_as_it_is(&path).await?,
            };
            let shown = std::path::absolute(&path).unwrap_or(path).display().to_string();
            let done = change(&file, config, what, &shown, is_new).await;
            let closed = file.close().await;
            done?;
            Ok(closed?)
        }
        DatabaseKind::Server => {
            let tables = if matches!(what, What::Add(_)) { Tables::BringUpToDate } else { Tables::AsTheyAre };
            let store = PostgresStore::open(PostgresOptions::for_a_command(&config.database.url, tables)).await?;
            let done = change(&*store, config, what, &config.database.to_string(), false).await;
            store.close().await;
            done
        }
    }
}

async fn change(keys: &dyn KeyStore, config: &Config, what: &What, shown: &str, is_new: bool) -> anyhow::Result<()> {
    match what {
        What::Add(args) => add(keys, args, shown, is_new).await,
        What::List => list(keys, config).await,
        What::Revoke { which } => revoke(keys, config, which).await,
    }
}

async fn add(file: &dyn KeyStore, args: &AddArgs, shown: &str, is_new: bool) -> anyhow::Result<()> {
    let mut random = [0; SECRET_BYTES];
    getrandom::fill(&mut random).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    let secret = secret_of(&random);
    let scopes: Scopes = args.scope.iter().copied().collect();
    let limit = args.rate.unwrap_or_default();
    let key = NewKey { name: args.name.clone(), digest: Digest::of(&secret), scopes, limit, links: args.result_links };
    let id = file.add_key(key).await?;
    if let Err(error) = print(&format!("{secret}\n")) {
        // Nobody has the secret, so the key is of no use.
        file.revoke_keys(&[id]).await?;
        return Err(anyhow!("the secret could not be written, and the key is revoked: {error}"));
    }
    say(format_args!(
        "key {} of {} is added to {}{}: scopes {scopes}, rate {limit}\n  Its secret is on standard output, and kept nowhere: \
         whoever lost it adds another key.\n  Callers send it as `Authorization: Bearer SECRET`. A service that runs \
         takes it within {} s.",
        id.0,
        args.name,
        shown,
        if is_new { ", which is new; a service that runs already reads another" } else { "" },
        LOOK_AGAIN.as_secs()
    ));
    Ok(())
}

async fn list(file: &dyn KeyStore, config: &Config) -> anyhow::Result<()> {
    let keys = file.keys().await?;
    print(&table(&keys)).context("cannot write to standard output")?;
    let of_settings = config.access.api_keys.len();
    if of_settings > 0 {
        say(format_args!("besides, {of_settings} in the setting API_KEYS"));
    }
    Ok(())
}

async fn revoke(file: &dyn KeyStore, config: &Config, which: &str) -> anyhow::Result<()> {
    let keys = file.keys().await?;
    let is_meant = |key: &&StoredKey| match which.parse::<i64>() {
        Ok(id) => key.id == KeyId(id),
        Err(_) => key.name == which,
    };
    let meant: Vec<&StoredKey> = keys.iter().filter(is_meant).collect();
    if meant.is_empty() {
        let which: String = which.chars().take(LONGEST_NAME + 1).collect();
        return Err(Usage(format!("no key has the number or name {which:?}; `spinelift keys list` shows all")).into());
    }
    let ids: Vec<KeyId> = meant.iter().filter(|key| key.revoked_at_ms.is_none()).map(|key| key.id).collect();
    let revoked = file.revoke_keys(&ids).await?;
    let name = meant.first().map_or("", |key| key.name.as_str());
    match revoked {
        0 => say(format_args!("no key of {name} was left to revoke")),
        many => say(format_args!(
            "{many} of the keys of {name} revoked; a service that runs refuses them within {} s, and their links to \
             results",
            LOOK_AGAIN.as_secs()
        )),
    }
    if config.access.api_keys.iter().any(|key| key.name == name) {
        say(format_args!("{name} still has a key in the setting API_KEYS"));
    }
    Ok(())
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// One line a key, the oldest first.
fn table(keys: &[StoredKey]) -> String {
    let time = |ms: Option<i64>| {
        let time = ms.and_then(DateTime::from_timestamp_millis);
        time.map_or("-".into(), |time| time.format("%Y-%m-%dT%H:%MZ").to_string())
    };
    let rows = keys.iter().map(|key| {
        [
            key.id.0.to_string(),
            key.name.clone(),
            key.scopes.to_string(),
            key.limit.to_string(),
            key.links.map_or("usual".into(), |links| links.to_string()),
            time(Some(key.created_at_ms)),
            time(key.last_used_at_ms),
            time(key.revoked_at_ms),
        ]
    });
    super::table::table(["ID", "NAME", "SCOPES", "RATE", "LINKS", "ADDED", "LAST USED", "REVOKED"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_every_key_and_no_secret() {
        let key = |id: i64, name: &str, limit: Limit, revoked_at_ms: Option<i64>| StoredKey {
            id: KeyId(id),
            name: name.into(),
            digest: Digest::of("secret"),
            scopes: Scopes::USUAL,
            limit,
            links: revoked_at_ms.map(|_| Links::Storage),
            created_at_ms: 1_763_640_000_000,
            last_used_at_ms: revoked_at_ms,
            revoked_at_ms,
        };
        let own = Limit::Own("600/60s".parse().unwrap());
        let keys = [key(1, "rails", Limit::Usual, Some(1_763_726_400_000)), key(12, "art", own, None)];
        let expected = "\
ID  NAME   SCOPES       RATE     LINKS    ADDED              LAST USED          REVOKED
1   rails  submit,read  usual    storage  2025-11-20T12:00Z  2025-11-21T12:00Z  2025-11-21T12:00Z
12  art    submit,read  600/60s  usual    2025-11-20T12:00Z  -                  -
";
        assert_eq!(table(&keys), expected);
    }

    #[test]
    fn a_name_is_no_number() {
        assert!(expect_name("rails-2").is_ok());
        for bad in ["12", "", "a b", "a\u{1b}[2J", "a\nb", "--"] {
            assert_eq!(expect_name(bad).is_ok(), bad == "--", "{bad:?}");
        }
    }
}
