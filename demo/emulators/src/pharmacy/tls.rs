//! The pharmacy's certificates: an authority of its own, kept beside its
//! state, so that whoever talks to it can be told to trust it.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;
use poem::{
    http::uri::Scheme,
    listener::{
        Acceptor, AcceptorExt as _, IntoTlsConfigStream as _, RustlsCertificate, RustlsConfig,
    },
    web::{LocalAddr, RemoteAddr},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::state::{private_file, private_folder};

/// The certificate and the key of the server, PEM both.
pub(super) struct ServerCertificate {
    chain: String,
    key: String,
}

/// The PEM of the authority to trust. It is made on first use and stays the
/// same from then on.
pub fn root_ca(data_dir: &Path) -> anyhow::Result<String> {
    ensure(data_dir)?;
    fs::read_to_string(data_dir.join("ca.pem")).context("reading the pharmacy's authority")
}

pub(super) fn server_certificate(data_dir: &Path) -> anyhow::Result<ServerCertificate> {
    ensure(data_dir)?;
    let read = |name: &str| {
        fs::read_to_string(data_dir.join(name)).with_context(|| format!("reading {name}"))
    };
    Ok(ServerCertificate { chain: read("server.pem")?, key: read("server-key.pem")? })
}

/// Makes the certificates where there are none. The authority's file is
/// written last and stands for the whole.
fn ensure(data_dir: &Path) -> anyhow::Result<()> {
    let authority = data_dir.join("ca.pem");
    if authority.exists() {
        return Ok(());
    }
    private_folder(data_dir).with_context(|| format!("creating {}", data_dir.display()))?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "Emulated pharmacy authority");
    let key = KeyPair::generate()?;
    let root = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);

    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let mut server = CertificateParams::new(names)?;
    server.distinguished_name.push(DnType::CommonName, "Emulated pharmacy");
    let server_key = KeyPair::generate()?;
    let certificate = server.signed_by(&server_key, &issuer)?;

    let write = |name: &str, text: String| {
        private_file(&data_dir.join(name))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("writing {name}"))
    };
    write("server-key.pem", server_key.serialize_pem())?;
    write("server.pem", certificate.pem())?;
    let draft = data_dir.join("ca.pem.tmp");
    fs::write(&draft, root.pem()).context("writing the pharmacy's authority")?;
    fs::rename(&draft, &authority).context("putting the pharmacy's authority in its place")
}

/// Puts TLS over the connections of an acceptor.
pub(super) fn accept<A: Acceptor>(
    inner: A,
    certificate: ServerCertificate,
) -> anyhow::Result<impl Acceptor> {
    let config = RustlsConfig::new()
        .fallback(RustlsCertificate::new().cert(certificate.chain).key(certificate.key));
    Ok(Unhurried { inner }.rustls(config.into_stream()?))
}

/// Lets the TLS configuration be read before the first connection: the TLS
/// acceptor refuses a connection that is there before it has one.
struct Unhurried<A> {
    inner: A,
}

impl<A: Acceptor> Acceptor for Unhurried<A> {
    type Io = A::Io;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.inner.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        tokio::task::yield_now().await;
        self.inner.accept().await
    }
}
