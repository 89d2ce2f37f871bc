//! What a signature says besides being a signature: whose key, which region, which service.

use crate::cloud::Service;
use crate::names::Region;
use crate::simulator::account::AwsError;

/// The credential scope of a request.
pub(super) struct Credential {
    pub(super) key: String,
    pub(super) region: Region,
    pub(super) service: Service,
}

impl Credential {
    /// Parses `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…, Signature=…`.
    pub(super) fn parse(authorization: Option<&str>) -> Result<Self, AwsError> {
        let Some(text) = authorization else {
            let text = "Request is missing Authentication Token";
            return Err(AwsError::new(403, "MissingAuthenticationToken", text));
        };
        let incomplete = || AwsError::new(400, "IncompleteSignature", format!("Authorization is incomplete: {text}"));
        let credential = text.split_once("Credential=").map(|(_, rest)| rest).ok_or_else(incomplete)?;
        let scope: Vec<&str> = credential.split([',', ' ']).next().unwrap_or_default().split('/').collect();
        let [key, _, region, service, "aws4_request"] = scope.as_slice() else { return Err(incomplete()) };
        let service = match *service {
            "lambda" => Service::Lambda,
            "ec2" => Service::Ec2,
            "iam" => Service::Iam,
            "sts" => Service::Sts,
            other => {
                let text = format!("The service {other} is not part of this simulation");
                return Err(AwsError::new(404, "UnknownOperationException", text));
            }
        };
        let region = Region::parse(region).map_err(|_| incomplete())?;
        Ok(Self { key: (*key).to_owned(), region, service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_names_key_region_and_service() {
        let text =
            "AWS4-HMAC-SHA256 Credential=AKIA/20261123/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0";
        let credential = Credential::parse(Some(text)).ok().unwrap();
        assert_eq!((credential.key.as_str(), credential.region.as_str()), ("AKIA", "eu-west-1"));
        assert_eq!(credential.service, Service::Ec2);
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        for (text, code) in [
            (None, "MissingAuthenticationToken"),
            (Some("Bearer x"), "IncompleteSignature"),
            (Some("AWS4-HMAC-SHA256 Credential=AKIA/20261123/eu-west-1/aws4_request"), "IncompleteSignature"),
            (Some("AWS4-HMAC-SHA256 Credential=AKIA/20261123/nowhere/ec2/aws4_request"), "IncompleteSignature"),
            (Some("AWS4-HMAC-SHA256 Credential=AKIA/20261123/eu-west-1/s3/aws4_request"), "UnknownOperationException"),
        ] {
            assert_eq!(Credential::parse(text).err().unwrap().code, code, "{text:?}");
        }
    }
}
