//! What a server needs before it may serve. All that is missing is said at
//! once, so that an operator does not find it out start by start.

use super::{Config, Emulated, Environment, Identity, Practice, Smtp};

impl Config {
    /// A server is one of production unless it is a demo or says that it is
    /// for development: what is forgotten must not open anything.
    pub fn is_production(&self) -> bool {
        match self.environment {
            Some(environment) => environment == Environment::Production,
            None => !self.demo.seed,
        }
    }

    /// Refuses to serve with a configuration that lacks something, and lists
    /// all that it lacks.
    pub fn check_serving(&self) -> anyhow::Result<()> {
        let mut lacks = self.lacks_of_vendors();
        if self.is_production() {
            lacks.extend(self.lacks_of_production());
        }
        if lacks.is_empty() {
            return Ok(());
        }
        let kind = if self.is_production() { "a production server" } else { "this server" };
        anyhow::bail!(
            "{kind} cannot start with this configuration:\n  - {}\n{}",
            lacks.join("\n  - "),
            if cfg!(feature = "demo") {
                "`serve --demo` runs with emulated vendors and made-up people; \
                 `environment = \"development\"` with `emulators = [...]` emulates the vendors \
                 that it names"
            } else {
                "a build with `--features demo` has emulators of the vendors"
            }
        )
    }

    /// Each vendor needs what it is reached and proved with, unless it is
    /// emulated: an emulator makes what is not given.
    fn lacks_of_vendors(&self) -> Vec<String> {
        let (stripe, erx, opentok) = (&self.stripe, &self.erx, &self.opentok);
        let easypost = &self.easypost;
        let settings: [(Emulated, &str, bool, &str); 13] = [
            (Emulated::Stripe, "stripe.secret_key", stripe.secret_key.is_empty(), ""),
            (Emulated::Stripe, "stripe.webhook_secret", stripe.webhook_secret.is_empty(), UNSIGNED),
            (Emulated::Erx, "erx.base_url", erx.base_url.is_empty(), ""),
            (Emulated::Erx, "erx.username", erx.username.is_empty(), ""),
            (Emulated::Erx, "erx.password", erx.password.is_empty(), ""),
            (Emulated::Erx, "erx.inbound_username", erx.inbound_username.is_empty(), UNSIGNED),
            (Emulated::Erx, "erx.inbound_password", erx.inbound_password.is_empty(), UNSIGNED),
            (Emulated::OpenTok, "opentok.api_key", opentok.api_key.is_empty(), ""),
            (Emulated::OpenTok, "opentok.api_secret", opentok.api_secret.is_empty(), ""),
            (
                Emulated::OpenTok,
                "opentok.callback_secret",
                opentok.callback_secret.is_empty(),
                UNSIGNED,
            ),
            (Emulated::EasyPost, "easypost.api_key", easypost.api_key.is_empty(), ""),
            (
                Emulated::EasyPost,
                "easypost.webhook_secret",
                easypost.webhook_secret.is_empty(),
                UNSIGNED,
            ),
            (Emulated::Smtp, "smtp.host", self.smtp.host.is_empty(), ""),
        ];
        settings
            .into_iter()
            .filter(|(vendor, _, is_missing, _)| *is_missing && !self.is_emulated(*vendor))
            .map(|(_, setting, _, why)| format!("{setting} is missing{why}"))
            .collect()
    }

    fn lacks_of_production(&self) -> Vec<String> {
        let mut lacks = Vec::new();
        for vendor in Emulated::ALL {
            if self.is_emulated(vendor) {
                lacks.push(format!("emulators names {}; production has none", vendor.name()));
            }
            let (setting, address) = self.address(vendor);
            if vendor != Emulated::Smtp && address.starts_with("http://") {
                lacks.push(format!("{setting} is plain http; vendors are called over https"));
            }
        }
        if !self.server.public_url.starts_with("https://") {
            lacks.push("server.public_url with https is missing".to_owned());
        }
        let asked = &self.identity.second_factor_roles;
        let without: Vec<String> = Identity::default()
            .second_factor_roles
            .difference(asked)
            .map(ToString::to_string)
            .collect();
        if !without.is_empty() {
            lacks.push(format!(
                "identity.second_factor_roles lets {} in without a second factor",
                without.join(", ")
            ));
        }
        if self.smtp.from == Smtp::default().from {
            lacks.push("smtp.from, the sender of the mails, is missing".to_owned());
        }
        let (practice, made_up) = (&self.practice, Practice::default());
        for (setting, is_missing) in [
            ("practice.name", practice.name == made_up.name),
            ("practice.line1", practice.line1 == made_up.line1),
            ("practice.phone", practice.phone == made_up.phone),
            // Together: a practice of that city may have set either.
            (
                "practice.city with state and postal_code",
                (&practice.city, practice.state, &practice.postal_code)
                    == (&made_up.city, made_up.state, &made_up.postal_code),
            ),
        ] {
            if is_missing {
                lacks.push(format!(
                    "{setting}, which stands on every prescription, is missing or the demo's"
                ));
            }
        }
        if practice.phone.parse::<kernel::PhoneNumber>().is_err() {
            lacks.push("practice.phone is no telephone number in E.164 form".to_owned());
        }
        lacks
    }
}

const UNSIGNED: &str = ": callbacks could not be told from forged ones";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn missing(config: &Config) -> String {
        config.check_serving().expect_err("it would serve").to_string()
    }

    /// All that production asks for.
    fn whole() -> Config {
        let mut config = Config::default();
        config.server.public_url = "https://api.salus.example".into();
        config.stripe.secret_key = Secret::new("sk_live_1");
        config.stripe.webhook_secret = Secret::new("whsec_1");
        config.erx.base_url = "https://erx.example/script".into();
        config.erx.username = "practice".into();
        config.erx.password = Secret::new("a");
        config.erx.inbound_username = "network".into();
        config.erx.inbound_password = Secret::new("b");
        config.opentok.api_key = "47".into();
        config.opentok.api_secret = Secret::new("c");
        config.opentok.callback_secret = Secret::new("d");
        config.easypost.api_key = Secret::new("EZAK1");
        config.easypost.webhook_secret = Secret::new("e");
        config.smtp.host = "smtp.example".into();
        config.smtp.from = "Clinic <no-reply@clinic.example>".into();
        config.practice.name = "Clinic".into();
        config.practice.line1 = "2 Long Street".into();
        config.practice.phone = "+16175550123".into();
        config.practice.postal_code = "02139".into();
        config
    }

    #[test]
    fn a_server_without_keys_lists_all_that_is_missing_at_once() {
        let told = missing(&Config::default());
        for setting in [
            "stripe.secret_key",
            "stripe.webhook_secret",
            "erx.base_url",
            "erx.password",
            "erx.inbound_password",
            "opentok.api_secret",
            "opentok.callback_secret",
            "easypost.api_key",
            "easypost.webhook_secret",
            "smtp.host",
            "smtp.from",
            "server.public_url",
            "practice.name",
        ] {
            assert!(told.contains(setting), "{setting} is not in {told}");
        }
        whole().check_serving().unwrap();
        assert!(Emulated::ALL.iter().all(|vendor| !whole().is_emulated(*vendor)));
    }

    #[test]
    fn production_has_no_emulator_no_plain_http_and_no_password_alone() {
        assert!(whole().is_production());
        let mut config = whole();
        config.emulators = vec![Emulated::OpenTok];
        config.stripe.base_url = "http://stripe.example".into();
        config.identity.second_factor_roles.pop_first();
        let told = missing(&config);
        for part in ["emulators names opentok", "stripe.base_url", "second_factor_roles"] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }

    #[test]
    fn no_prescription_carries_a_part_of_the_demos_practice() {
        let mut config = whole();
        config.practice.postal_code = Practice::default().postal_code;
        assert!(missing(&config).contains("practice.city"));
        config = whole();
        config.practice.phone = "617".into();
        assert!(missing(&config).contains("practice.phone"));
    }

    #[test]
    fn what_is_emulated_lacks_nothing() {
        let mut config = Config {
            environment: Some(Environment::Development),
            emulators: vec![Emulated::Stripe, Emulated::Smtp],
            ..Config::default()
        };
        let told = missing(&config);
        assert!(!told.contains("stripe") && !told.contains("smtp."), "{told}");
        assert!(told.contains("opentok.api_key") && !told.contains("practice"), "{told}");
        config.emulators = Emulated::ALL.to_vec();
        config.check_serving().unwrap();
        // A demo emulates whatever cannot be reached, and nothing else.
        let mut demo = Config::default();
        demo.demo.seed = true;
        demo.check_serving().unwrap();
        demo.stripe.secret_key = Secret::new("sk_test_1");
        assert!(missing(&demo).contains("stripe.webhook_secret"));
    }
}
