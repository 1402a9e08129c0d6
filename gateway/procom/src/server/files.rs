//! The files of the web client, inside the binary. What stands in `web/` but is for developers only
//! (tests, `package.json`, documents) is not served.

/// One file.
pub(crate) struct File {
    /// Its path below the root.
    pub(crate) path: &'static str,
    /// What is in it.
    pub(crate) bytes: &'static [u8],
}

impl File {
    /// Whether pages of other origins may load it: what Prochat is made of.
    pub(crate) fn is_shared(&self) -> bool {
        let path = self.path;
        ["prochat.js", "procom.js"].contains(&path)
            || ((path.starts_with("prochat/") || path.starts_with("sdk/")) && path.ends_with(".js"))
    }

    /// Its media type, by the end of its name.
    pub(super) fn media_type(&self) -> &'static str {
        match self.path.rsplit_once('.').map(|(_, end)| end) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            Some("webmanifest") => "application/manifest+json",
            Some(_) | None => "application/octet-stream",
        }
    }
}

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(File { path: $path, bytes: include_bytes!(concat!("../../web/", $path)) }),*]
    };
}

/// Every file that is served.
pub(crate) const FILES: &[File] = files![
    "icon.svg",
    "index.html",
    "manifest.webmanifest",
    "prochat.js",
    "prochat/element.js",
    "prochat/style.js",
    "prochat/transcript.js",
    "prochat/view.js",
    "prochat/words.js",
    "procom.js",
    "profon.css",
    "profon.js",
    "profon/desk.js",
    "profon/dialler.js",
    "profon/dom.js",
    "profon/record.js",
    "profon/sheet.js",
    "profon/stage.js",
    "profon/strip.js",
    "profon/talk.js",
    "profon/threads.js",
    "profon/tones.js",
    "profon/words.js",
    "sdk/backoff.js",
    "sdk/call-state.js",
    "sdk/call.js",
    "sdk/causes.js",
    "sdk/channel.js",
    "sdk/composing.js",
    "sdk/device.js",
    "sdk/digits.js",
    "sdk/display.js",
    "sdk/ledger.js",
    "sdk/link.js",
    "sdk/messaging.js",
    "sdk/microphone.js",
    "sdk/negotiation.js",
    "sdk/random.js",
    "sdk/recovery.js",
    "sdk/security.js",
    "sdk/session.js",
];

#[cfg(test)]
mod tests {
    use super::FILES;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn walk(folder: &Path, below: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                if path != "tests" {
                    walk(&entry.path(), &format!("{path}/"), found);
                }
            } else if path != "package.json" && !path.ends_with(".md") {
                found.insert(path);
            }
        }
    }

    #[test]
    fn no_file_of_the_web_client_is_forgotten() {
        let mut found = BTreeSet::new();
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("web"), "", &mut found);
        let served: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(served, found);
    }

    #[test]
    fn every_file_has_a_media_type_and_the_page_nothing_inline() {
        for file in FILES {
            assert_ne!(file.media_type(), "application/octet-stream", "{}", file.path);
            if !file.path.ends_with(".html") {
                continue;
            }
            let page = std::str::from_utf8(file.bytes).unwrap();
            for inline in ["<style", "style=\"", " onclick=", "javascript:", "<script>"] {
                assert!(!page.contains(inline), "{}: {inline}", file.path);
            }
        }
    }
}
