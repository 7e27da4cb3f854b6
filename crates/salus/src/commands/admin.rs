//! The first administrator of an installation, created on the host.

use std::process::ExitCode;

use anyhow::Context as _;
use identity::first_administrator::{FirstAdministrator, create as create_first};
use kernel::{Actor, EmailAddress, HumanName};

use crate::{
    config::Config,
    store::{As, Foundation},
    wiring::identity_services,
};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The address that the administrator signs in with.
    #[arg(long)]
    email: String,
    /// The given name; other administrators can read it.
    #[arg(long, default_value = "First")]
    given_name: String,
    /// The family name.
    #[arg(long, default_value = "Administrator")]
    family_name: String,
    /// Print the one-time link although a mail server is configured.
    #[arg(long)]
    print_link: bool,
}

pub async fn create(mut config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let email: EmailAddress =
        arguments.email.parse().ok().context("--email is no e-mail address")?;
    let name =
        HumanName::parse(&arguments.given_name, &arguments.family_name).map_err(|wrong| {
            let messages: Vec<String> = wrong.into_iter().map(|field| field.message).collect();
            anyhow::anyhow!("the name cannot be used: {}", messages.join(" "))
        })?;
    if config.server.public_url.is_empty() {
        config.server.public_url = format!("http://{}", config.server.listen);
    }
    let mail = !config.smtp.host.is_empty() && !arguments.print_link;
    let invited = Foundation::within(&config, As::Command, async |foundation| {
        let services = identity_services(&config, foundation)?;
        let actor = Actor::system("commands.admin_create");
        Ok(create_first(&services, &actor, FirstAdministrator { email, name, mail }).await?)
    })
    .await?;
    let how = match invited.token {
        Some(token) => format!(
            "open this link within three days, once, to choose a password:\n\
             {}/reset-password?token={token}",
            config.public_url()
        ),
        None => "a link to choose a password is mailed as soon as the server runs; \
                 it is good for three days, once"
            .to_owned(),
    };
    super::print(&format!(
        "the account {} has the role super_admin; {how}\n\
         The first sign-in asks for a second factor to be set up.\n",
        invited.account
    ))?;
    Ok(ExitCode::SUCCESS)
}
