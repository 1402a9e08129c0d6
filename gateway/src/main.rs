//! The command line: `demo`, `run`, `check`, `explain`, `contacts`, `widget`, `passwd`.
#![expect(clippy::print_stdout, reason = "a command line talks on standard output")]

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dialplan::Purpose;
use dialplan::config::Targets;
use gateway_procom::Tokens;
use nix::sys::resource::{Resource, setrlimit};
use procom_gateway::config::Config;
use procom_gateway::contacts::Book;
use procom_gateway::demo::Demo;
use procom_gateway::explain::{self, Question};
use procom_gateway::house::House;
use procom_gateway::widget::Order;
use tokio::signal::unix::{SignalKind, signal};

/// Bridges Procom WebRTC and SIP; XMPP and GSM are to come.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a gateway on this machine only, with nothing to configure.
    Demo {
        /// Prints one line of JSON once everything listens.
        #[arg(long)]
        json: bool,
        /// Moves all ports: HTTP at N, SIP at N+1 and N+2 (TLS), metrics at N+3, media above.
        #[arg(long, value_name = "N")]
        port_base: Option<u16>,
    },
    /// Runs the gateway of a configuration file.
    Run {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = "/etc/procom-gateway/gateway.toml")]
        config: PathBuf,
    },
    /// Checks a configuration file and prints what is in effect, secrets masked.
    Check {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = "/etc/procom-gateway/gateway.toml")]
        config: PathBuf,
    },
    /// Explains what would happen to what is dialled, step by step: asks the gateway that runs with
    /// the configuration, or else the configuration alone.
    Explain {
        /// What would be dialled: a number, a name, an address.
        dialled: String,
        /// The account that would dial it, or the trunk it would come in by; without, the first
        /// account.
        #[arg(long, value_name = "ACCOUNT")]
        from: Option<String>,
        /// To write, not to call.
        #[arg(long)]
        message: bool,
        /// The protection asked for: any, encrypted or end-to-end.
        #[arg(long, value_name = "WORD", default_value = "any")]
        require: String,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = "/etc/procom-gateway/gateway.toml")]
        config: PathBuf,
    },
    /// Packages Prochat as a W3C widget, with a guest's token inside.
    Widget {
        /// The gateway's web address, like `https://gateway.example`.
        #[arg(long, value_name = "URL")]
        gateway: String,
        /// To whom it writes, like `procom:shop`.
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The name shown to the person.
        #[arg(long, default_value = "Chat with us")]
        name: String,
        /// How long the token lives.
        #[arg(long, default_value_t = 365)]
        days: u32,
        /// The configuration, whose token_key signs the token.
        #[arg(long, value_name = "FILE", default_value = "/etc/procom-gateway/gateway.toml")]
        config: PathBuf,
    },
    /// The contacts of a configuration: its file of vCards.
    Contacts {
        #[command(subcommand)]
        action: ContactsAction,
        /// The configuration.
        #[arg(
            long,
            global = true,
            value_name = "FILE",
            default_value = "/etc/procom-gateway/gateway.toml"
        )]
        config: PathBuf,
    },
    /// Reads a password and prints its hash, for `password_hash` of an account.
    Passwd,
}

#[derive(Subcommand)]
enum ContactsAction {
    /// Takes the vCards (4.0 or 3.0) of a file in. Who is known by name gets what is new.
    Import {
        /// The file to read.
        file: PathBuf,
    },
    /// Prints all contacts as vCard 4.0.
    Export,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo { json, port_base } => demo(json, port_base),
        Command::Run { config } => run(&config),
        Command::Check { config } => check(&config),
        Command::Explain { dialled, from, message, require, json, config } => {
            let purpose = if message { Purpose::Message } else { Purpose::Call };
            explain::require(&require).and_then(|require| {
                explain(&config, &Question { to: dialled, from, purpose, require }, json)
            })
        }
        Command::Widget { gateway, to, out, name, days, config } => {
            widget(Order { gateway, to, name, days }, &config, &out)
        }
        Command::Contacts { action, config } => contacts(&action, &config),
        Command::Passwd => passwd(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("procom-gateway: {why}");
            ExitCode::FAILURE
        }
    }
}

fn demo(as_json: bool, port_base: Option<u16>) -> Result<(), String> {
    let demo = Demo::prepare(port_base)?;
    let announce = |house: &House| println!("{}", demo.announce(&house.bound, as_json));
    serve(&demo.config, None, demo.tokens.clone(), announce)
}

fn run(path: &Path) -> Result<(), String> {
    let config = Config::load(path).map_err(|why| why.to_string())?;
    let tokens = match &config.procom.token_key {
        Some(key) => Tokens::new(key).map_err(|why| why.to_string())?,
        None => Tokens::generate(),
    };
    let announce = |house: &House| {
        let bound = &house.bound;
        let scheme = if bound.fingerprint.is_some() { "https" } else { "http" };
        if bound.procom.ip().is_unspecified() {
            println!("Procom clients: {scheme}://THIS-HOST:{}/", bound.procom.port());
        } else {
            println!("Procom clients: {scheme}://{}/", bound.procom);
        }
        if let Some(fingerprint) = &bound.fingerprint {
            println!("certificate SHA-256: {fingerprint}");
        }
        println!("health and metrics: http://{}/", bound.admin);
    };
    serve(&config, Some(path), tokens, announce)
}

fn serve(
    config: &Config,
    file: Option<&Path>,
    tokens: Tokens,
    announce: impl FnOnce(&House),
) -> Result<(), String> {
    log(&config.gateway.log)?;
    // A core file would hold session keys.
    if let Err(why) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%why, "core files cannot be switched off");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|why| why.to_string())?;
    runtime.block_on(async {
        // Without a file it is the demo, which calls this machine only.
        let targets = match file {
            Some(_) => Targets::Public(config.trusted_hosts()),
            None => Targets::LoopbackOnly,
        };
        let house = House::start(config, tokens, targets).await.map_err(|why| why.to_string())?;
        announce(&house);
        let mut terminate = signal(SignalKind::terminate()).map_err(|why| why.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|why| why.to_string())?;
        let mut hangup = signal(SignalKind::hangup()).map_err(|why| why.to_string())?;
        let mut stop = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        loop {
            tokio::select! {
                () = stop() => break,
                _ = hangup.recv() => reload(&house, file),
            }
        }
        house.stop(stop()).await;
        Ok(())
    })
}

/// SIGHUP: the dialplan of the file, its rules and its contacts, for calls from now on.
fn reload(house: &House, file: Option<&Path>) {
    let Some(file) = file else { return tracing::info!("the demo has no file to read again") };
    match Config::load(file).and_then(|config| house.reload(&config)) {
        Ok(()) => tracing::info!("the dialplan was read again"),
        Err(why) => tracing::error!(%why, "the dialplan in force stays: the new one is wrong"),
    }
}

fn log(filter: &str) -> Result<(), String> {
    // The DNS crates log names, and names of ENUM are numbers.
    let filter = format!(
        "{filter},{}",
        ["resolver", "net", "proto"].map(|part| format!("hickory_{part}=off")).join(",")
    );
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|why| format!("gateway.log: {why}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}

fn check(path: &Path) -> Result<(), String> {
    let config = Config::load(path).map_err(|why| why.to_string())?;
    let targets = Targets::Public(config.trusted_hosts());
    config.dialplan(targets).map_err(|why| why.to_string())?;
    print!("{}", toml::to_string(&config).map_err(|why| why.to_string())?);
    Ok(())
}

fn explain(path: &Path, question: &Question, as_json: bool) -> Result<(), String> {
    let config = Config::load(path).map_err(|why| why.to_string())?;
    println!("{}", explain::explain(&config, question, as_json)?.trim_end());
    Ok(())
}

fn contacts(action: &ContactsAction, config: &Path) -> Result<(), String> {
    let book = Book::of(&Config::load(config).map_err(|why| why.to_string())?)?;
    match action {
        ContactsAction::Import { file } => println!("{}", book.import(file)?),
        ContactsAction::Export => print!("{}", book.export()?),
    }
    Ok(())
}

fn widget(order: Order, config: &Path, out: &Path) -> Result<(), String> {
    let config = Config::load(config).map_err(|why| why.to_string())?;
    let bytes = procom_gateway::widget::package(order, &config)?;
    std::fs::write(out, bytes).map_err(|why| format!("{}: {why}", out.display()))
}

fn passwd() -> Result<(), String> {
    let password = if std::io::stdin().is_terminal() {
        let first = rpassword::prompt_password("Password: ").map_err(|why| why.to_string())?;
        let again = rpassword::prompt_password("Again: ").map_err(|why| why.to_string())?;
        if first != again {
            return Err("the two are not the same".to_owned());
        }
        first
    } else {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|why| why.to_string())?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.len() < 8 {
        return Err("a password has at least 8 characters".to_owned());
    }
    println!("{}", gateway_procom::hash_password(&password));
    Ok(())
}
