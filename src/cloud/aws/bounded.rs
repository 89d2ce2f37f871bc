//! Answers that do not end: no more of one is taken in than AWS ever sends.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

/// The bytes of the longest answer. Lambda's end at 6 MB, whatever the number of items; EC2's pages of a thousand items stay
/// below that.
pub(super) const MOST_BYTES: usize = 32 << 20;

/// Makes a call fail whose answer is longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounded;

impl Intercept for Bounded {
    fn name(&self) -> &'static str {
        "Bounded"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let endless = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(endless, MOST_BYTES));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::MOST_BYTES;
    use crate::cloud::aws::{Aws, Deadlines, Endpoint};
    use crate::cloud::{Class, Listing, Rates, Read as _, Unobserved};
    use crate::names::{AccountId, Clock, Region, ScopeKey, Time};

    #[tokio::test]
    async fn an_answer_without_end_is_left_and_called_malformed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Answers one call for as long as anybody reads; says how much was read.
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 16 << 10]).await.unwrap() > 0, "nothing was asked");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"Functions\":[")
                .await
                .unwrap();
            let (block, mut sent) = (vec![b' '; 1 << 20], 0);
            while sent < 16 * MOST_BYTES && stream.write_all(&block).await.is_ok() {
                sent += block.len();
            }
            sent
        });
        let deadlines = Deadlines { connection: Duration::from_secs(60), answer: Duration::from_secs(60) };
        let account = AccountId::parse("123456789012").unwrap();
        let endpoint = Endpoint::Emulator { url, access_key: account.to_string() };
        let clock = Clock::new(|| Time(0));
        let rates = Rates::default();
        let aws = Aws::connect(&endpoint, HashMap::new(), deadlines, rates, Arc::new(Unobserved), clock).await.unwrap();
        let scope = ScopeKey { account, region: Region::parse("eu-west-1").unwrap() };
        let error = aws.list_functions(&scope, Listing::Latest, None).await.unwrap_err();
        assert_eq!(error.class, Class::Malformed, "{error}");
        let sent = serving.await.unwrap();
        assert!((MOST_BYTES..2 * MOST_BYTES).contains(&sent), "{sent}");
    }
}
