//! Prochat as a W3C widget: a ZIP archive with `config.xml` (Packaged Web Apps (Widgets), W3C
//! Recommendation 2012). Everything it runs is inside; it only connects to the gateway.
//!
//! ```text
//! WidgetSettings --package--> config.xml, index.html, icon.svg, prochat.js, prochat/, procom.js, sdk/
//! ```

use std::io::{Cursor, Write};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::server::files::FILES;

/// The media type of the file.
pub const MEDIA_TYPE: &str = "application/widget";

/// What the widget is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WidgetSettings {
    /// The gateway's web address, like `https://gateway.example`; its origin counts.
    pub gateway: String,
    /// To whom it writes, like `procom:shop`.
    pub to: String,
    /// A guest's token: whoever has the file has it, so it names `to` alone and expires.
    pub token: String,
    /// The name shown to the person.
    pub name: String,
}

/// Why there is no widget.
#[derive(Debug, thiserror::Error)]
pub enum WidgetFault {
    /// The gateway's address is none.
    #[error("the gateway is named by its web address, like https://gateway.example")]
    BadGateway,
    /// The archive could not be made.
    #[error("the archive cannot be written: {0}")]
    Archive(#[from] ZipError),
    /// The archive could not be made.
    #[error("the archive cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

/// Makes the file.
///
/// The same settings make the same bytes, whenever that is.
///
/// # Errors
/// The gateway's address is none, or a member does not fit an archive.
pub fn package(settings: &WidgetSettings) -> Result<Vec<u8>, WidgetFault> {
    let origin = origin(&settings.gateway).ok_or(WidgetFault::BadGateway)?;
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    let mut add = |path: &str, bytes: &[u8]| -> Result<(), WidgetFault> {
        archive.start_file(path, options)?;
        archive.write_all(bytes)?;
        Ok(())
    };
    add("config.xml", config(settings, origin).as_bytes())?;
    add("index.html", page(settings, origin).as_bytes())?;
    let files = FILES.iter().filter(|file| file.is_shared() || file.path == "icon.svg");
    for file in files {
        add(file.path, file.bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// Scheme, host and port of a web address (RFC 6454 §6.2).
fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let is_origin =
        ["https", "http"].contains(&scheme) && !host.is_empty() && host.bytes().all(is_fine);
    is_origin.then(|| &url[..scheme.len() + 3 + host.len()])
}

fn config(settings: &WidgetSettings, origin: &str) -> String {
    let (name, host) = (escape(&settings.name), escape(origin));
    let version = env!("CARGO_PKG_VERSION");
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<widget xmlns="http://www.w3.org/ns/widgets" id="{host}/prochat" version="{version}" width="384" height="620" viewmodes="floating windowed">
  <name short="Prochat">{name}</name>
  <description>Text and calls over a Procom gateway.</description>
  <icon src="icon.svg"/>
  <content src="index.html" type="text/html" encoding="UTF-8"/>
  <access origin="{host}"/>
</widget>
"#
    )
}

fn page(settings: &WidgetSettings, origin: &str) -> String {
    let (name, to, token) = (escape(&settings.name), escape(&settings.to), escape(&settings.token));
    let socket = escape(&origin.replacen("http", "ws", 1));
    let origin = escape(origin);
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self'; img-src 'self'; connect-src {socket}">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{name}</title>
  <link rel="icon" href="icon.svg" type="image/svg+xml">
  <script type="module" src="prochat.js" data-gateway="{origin}" data-to="{to}" data-token="{token}" data-heading="{name}" data-open=""></script>
</head>
<body></body>
</html>
"#
    )
}

/// For text and quoted attributes of XML and HTML alike.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn settings(name: &str) -> WidgetSettings {
        WidgetSettings {
            gateway: "https://gateway.example:8443/".to_owned(),
            to: "procom:shop".to_owned(),
            token: "eyJr.abc-_".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_widget_holds_its_configuration_and_all_that_it_runs() {
        let bytes = package(&settings("The shop")).unwrap();
        assert_eq!(bytes, package(&settings("The shop")).unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut read = |path: &str| {
            let mut text = String::new();
            archive.by_name(path).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        let config = read("config.xml");
        assert!(config.contains(r#"<access origin="https://gateway.example:8443"/>"#), "{config}");
        assert!(read("index.html").contains("connect-src wss://gateway.example:8443"));
        let entry = read("prochat.js");
        assert!(entry.contains("./prochat/element.js"));
        for path in ["prochat/element.js", "procom.js", "sdk/link.js", "icon.svg"] {
            assert!(!read(path).is_empty(), "{path}");
        }
    }

    #[test]
    fn every_module_that_a_widget_imports_is_inside() {
        for file in FILES.iter().filter(|file| file.is_shared()) {
            let text = std::str::from_utf8(file.bytes).unwrap();
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let is_import = |line: &&str| {
                ["import ", "export ", "} "].iter().any(|start| line.starts_with(start))
            };
            let imports = text.lines().filter(is_import);
            for import in imports.filter_map(|line| line.split_once(" from \"")) {
                let import = import.1.trim_end_matches("\";");
                let path = match import.strip_prefix("../") {
                    Some(rest) => rest.to_owned(),
                    None if folder.is_empty() => import.trim_start_matches("./").to_owned(),
                    None => format!("{folder}/{}", import.trim_start_matches("./")),
                };
                let is_inside = FILES.iter().any(|file| file.is_shared() && file.path == path);
                assert!(is_inside, "{}: {import}", file.path);
            }
        }
    }

    #[test]
    fn what_is_put_in_stays_text() {
        let name = "<b>\"Tom & 'Jerry'</b>";
        let bytes = package(&settings(name)).unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        for path in ["config.xml", "index.html"] {
            let mut text = String::new();
            archive.by_name(path).unwrap().read_to_string(&mut text).unwrap();
            assert!(!text.contains("<b>") && text.contains("&quot;Tom &amp; &#39;Jerry&#39;"));
        }
    }

    #[test]
    fn a_gateway_without_an_origin_is_refused() {
        for gateway in ["", "gateway.example", "ftp://gateway.example", "https://", "https://a b"] {
            let settings = WidgetSettings { gateway: gateway.to_owned(), ..settings("x") };
            assert!(matches!(package(&settings), Err(WidgetFault::BadGateway)), "{gateway}");
        }
    }
}
