//! Whose certificates are trusted, and what a proxy is asked: where the environment says what the SDK does not heed.

use std::path::PathBuf;

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::text::shown_within;

/// The variable that AWS's own tools take a file of certificates from.
const BUNDLE: &str = "AWS_CA_BUNDLE";

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
#[error("{BUNDLE} names {}, {why}: write the path of a file of certificates (PEM), or unset it", .path.display())]
pub struct TrustError {
    path: PathBuf,
    why: String,
}

/// A client that trusts the certificates of the environment's file, and what the machine trusts (`SSL_CERT_FILE`, or its own
/// store); none where it names no file.
pub(super) fn client() -> Result<Option<SharedHttpClient>, TrustError> {
    let Some(path) = std::env::var_os(BUNDLE).filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return Ok(None);
    };
    let wrong = |why: String| TrustError { path: path.clone(), why };
    let text = std::fs::read(&path).map_err(|error| wrong(format!("which cannot be read ({error})")))?;
    certificates(&text).map_err(wrong)?;
    let store = TrustStore::default().with_pem_certificate(text);
    let context = TlsContext::builder().with_trust_store(store).build();
    let context = context.map_err(|error| wrong(format!("which cannot be used ({error})")))?;
    let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(context);
    Ok(Some(client.build_https()))
}

/// What is asked without encryption at an address of the link goes through a proxy as well, unless it is excepted; where
/// credentials come from there, none are found. Says so, and what to write.
pub(super) fn warn_of_proxied_credentials(given: impl Fn(&str) -> Option<String>) -> bool {
    let any = |names: &[&str]| names.iter().find_map(|name| given(name).filter(|text| !text.is_empty()));
    let Some(proxy) = any(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]) else { return false };
    let excepted = any(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    let elsewhere = any(&["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"]).is_some();
    let from_container =
        any(&["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"]).is_some();
    let in_the_way = !excepted.contains("169.254.") && excepted.trim() != "*" && (from_container || !elsewhere);
    if in_the_way {
        tracing::warn!(
            "plain HTTP goes through the proxy {}, the credentials of ECS, EKS and EC2 as well: set \
             NO_PROXY=169.254.170.2,169.254.170.23,169.254.169.254",
            shown_within(&proxy_without_password(&proxy), 200)
        );
    }
    in_the_way
}

/// What stands before the `@` of a URL is for the proxy alone.
fn proxy_without_password(proxy: &str) -> String {
    match (proxy.split_once("://"), proxy.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => proxy.to_owned(),
    }
}

/// How many certificates a file has: at least one, and nothing that is broken.
fn certificates(text: &[u8]) -> Result<usize, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match all {
        Ok(all) if all.is_empty() => Err("in which there is no certificate".to_owned()),
        Ok(all) => Ok(all.len()),
        Err(error) => Err(format!("in which a certificate is broken ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_certificates_has_some_and_none_that_is_broken() {
        let good = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(certificates(good.as_bytes()), Ok(1));
        assert_eq!(certificates(format!("corp\n{good}{good}").as_bytes()), Ok(2));
        for wrong in [
            "",
            "no certificate",
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        ] {
            assert!(certificates(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_gets_credentials_through_a_proxy_is_warned() {
        const PROXY: (&str, &str) = ("HTTP_PROXY", "http://corp:8080");
        const ECS: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
        for (environment, expected) in [
            (&[][..], false),
            (&[PROXY], true),
            (&[("HTTPS_PROXY", "http://corp:8080")], false),
            (&[("all_proxy", "http://corp:8080"), ECS], true),
            (&[PROXY, ("AWS_ACCESS_KEY_ID", "AKIA")], false),
            (&[PROXY, ("AWS_PROFILE", "ops"), ECS], true),
            (&[PROXY, ECS, ("NO_PROXY", "localhost,169.254.170.2")], false),
            (&[PROXY, ECS, ("NO_PROXY", "localhost")], true),
            (&[PROXY, ECS, ("no_proxy", "*")], false),
        ] {
            let given = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, it)| (*it).to_owned());
            assert_eq!(warn_of_proxied_credentials(given), expected, "{environment:?}");
        }
        assert_eq!(proxy_without_password("http://me:secret@corp:8080"), "http://corp:8080");
        assert_eq!(proxy_without_password("me:secret@corp:8080"), "corp:8080");
    }
}
