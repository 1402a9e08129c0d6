//! `procom-gateway contacts`: the file of vCards the dialplan reads, changed and printed.
//!
//! The file is written beside itself first and then put in its place, so it is there whole at any
//! moment; a running gateway takes it at SIGHUP.

use std::fs;
use std::path::{Path, PathBuf};

use dialplan::contacts::Contacts;

use crate::config::Config;

/// The file of contacts of a configuration.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
}

impl Book {
    /// The one that `[dialplan] contacts` names.
    ///
    /// # Errors
    /// The configuration names none.
    pub fn of(config: &Config) -> Result<Self, String> {
        let why = "the configuration names no file of contacts: set contacts in [dialplan]";
        let path = config.dialplan.contacts.clone().ok_or(why)?;
        Ok(Self { path })
    }

    /// Takes the vCards of a file in, and says what became of them.
    ///
    /// # Errors
    /// A file cannot be read or written, or is no file of vCards; nothing is changed then.
    pub fn import(&self, file: &Path) -> Result<String, String> {
        let (all, imported) = self.read()?.import(&contacts(file)?)?;
        let aside = self.path.with_extension("new");
        fs::write(&aside, all.render())
            .and_then(|()| fs::rename(&aside, &self.path))
            .map_err(|why| format!("{}: {why}", self.path.display()))?;
        let (new, changed, same) = (imported.new, imported.changed, imported.same);
        let mut said = format!("{new} new, {changed} changed, {same} as they were");
        for name in &imported.unclear {
            said += &format!("\nleft out: there are several contacts named {name:?}");
        }
        Ok(said + "\na running gateway reads them at SIGHUP")
    }

    /// All contacts as vCard 4.0.
    ///
    /// # Errors
    /// The file cannot be read, or is no file of vCards.
    pub fn export(&self) -> Result<String, String> {
        self.read().map(|contacts| contacts.render())
    }

    fn read(&self) -> Result<Contacts, String> {
        match fs::exists(&self.path) {
            Ok(false) => Ok(Contacts::default()),
            Ok(true) | Err(_) => contacts(&self.path),
        }
    }
}

fn contacts(path: &Path) -> Result<Contacts, String> {
    let text = fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
    Contacts::parse(&text).map_err(|fault| format!("{}: {fault}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_whole_or_nothing() {
        let folder = std::env::temp_dir().join(format!("procom-contacts-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let book = Book { path: folder.join("contacts.vcf") };
        assert_eq!(book.export(), Ok(String::new()), "no file is no contacts");
        let file = folder.join("phone.vcf");
        fs::write(
            &file,
            "BEGIN:VCARD\nVERSION:3.0\nFN:Bob\nTEL;TYPE=pref:+4532123456\nEND:VCARD\n",
        )
        .unwrap();
        assert!(book.import(&file).unwrap().starts_with("1 new, 0 changed, 0 as they were"));
        assert!(book.import(&file).unwrap().starts_with("0 new, 0 changed, 1 as they were"));
        let before = book.export().unwrap();
        assert!(before.contains("TEL;VALUE=text;PREF=1:+4532123456"), "{before}");
        fs::write(&file, "BEGIN:VCARD\nFN:Eve\nEND:VCARD\nnot a card\n").unwrap();
        let fault = book.import(&file).unwrap_err();
        assert!(fault.contains("phone.vcf: line 4"), "{fault}");
        assert_eq!(book.export().unwrap(), before);
        fs::remove_dir_all(&folder).unwrap();
    }
}
