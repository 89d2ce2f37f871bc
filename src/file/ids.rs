//! Ids and regions as people write them. An answer of AWS, or of an emulator, is taken as it comes; what stands in a file may be a
//! slip of the hand, and is refused before AWS says only that nothing of the kind exists.

use super::{Field, Reader, Span, nearest};
use crate::names::{NameError, Region};

/// The regions of all partitions: `partitions.json` of botocore 1.44.8.
const REGIONS: [&str; 48] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-isoe-west-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "me-west-1",
    "mx-central-1",
    "sa-east-1",
    "sa-west-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isob-west-1",
    "us-isof-east-1",
    "us-isof-south-1",
    "us-west-1",
    "us-west-2",
];

impl Reader<'_> {
    /// The id of a resource, such as `vpc-0a1b2c3d4e5f60718`: `parse` knows its prefix, and its digits are checked here.
    pub fn id<Id>(&mut self, field: &Field<String>, parse: impl Fn(&str) -> Result<Id, NameError>) -> Option<Id> {
        let id = field.parse(self, parse)?;
        let text = field.get(self)?;
        let Some(wrong) = wrong_digits(text) else { return Some(id) };
        let found = self.error(field.span(), format!("`{text}` is not a valid id"), wrong);
        let lower = text.to_lowercase();
        self.report.push(match wrong_digits(&lower) {
            None => found.help(format!("write it in small letters: `{lower}`")),
            Some(_) => found.help("copy it again: an id has 17 digits of 0-9 and a-f, or 8 if it is an old one"),
        });
        None
    }

    /// A region of AWS, or one of the `new` ones, which AWS opened after this program was made.
    pub fn region(&mut self, field: &Option<Field<String>>, new: &[Region]) -> Option<Region> {
        let field = field.as_ref()?;
        let text = field.get(self)?;
        match Region::parse(text) {
            Ok(region) => self.known_region(field.span(), region, new),
            Err(error) => {
                let found = self.error(field.span(), error.to_string(), "");
                self.report.push(match nearest(text, REGIONS).filter(|_| text.is_ascii()) {
                    Some(near) => found.help(format!("did you mean `{near}`?")),
                    None => found,
                });
                None
            }
        }
    }

    /// The same of a region that stands in something longer, such as an ARN.
    pub fn known_region(&mut self, span: &Span, region: Region, new: &[Region]) -> Option<Region> {
        let text = region.as_str();
        if REGIONS.contains(&text) || new.contains(&region) {
            return Some(region);
        }
        let found = self.error(span, format!("AWS has no region `{text}`"), "");
        let lately =
            format!("if AWS opened it lately: `--new-region {text}`, or `new_regions` in [files] of the settings");
        self.report.push(found.help(match nearest(text, REGIONS) {
            Some(near) => format!("did you mean `{near}`? {lately}"),
            None => lately,
        }));
        None
    }
}

/// What is wrong with the digits of an id: AWS gives out 17 of 0-9 and a-f, and gave out 8 until 2018. None if nothing is.
pub fn wrong_digits(id: &str) -> Option<String> {
    let (_, digits) = id.split_once('-')?;
    let is_digit = |c: &char| matches!(c, '0'..='9' | 'a'..='f');
    match (digits.chars().find(|c| !is_digit(c)), digits.len()) {
        (Some(wrong), _) => Some(format!("`{wrong}` is none of the digits 0-9 and a-f")),
        (None, 8 | 17) => None,
        (None, 1) => Some("1 digit, not 17 or 8".to_owned()),
        (None, count) => Some(format!("{count} digits, not 17 or 8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_8_or_17_digits_of_0_to_9_and_a_to_f() {
        for fine in ["vpc-0a1b2c3d4e5f60718", "vpc-0a1b2c3d", "subnet-12345678", "sg-abcdefab"] {
            assert_eq!(wrong_digits(fine), None, "{fine}");
        }
        for (id, wrong) in [
            ("vpc-0a1b2c3d4e5f6071", "16 digits, not 17 or 8"),
            ("vpc-0a1b2c3d4e5f607181", "18 digits, not 17 or 8"),
            ("sg-0a1b2c3", "7 digits, not 17 or 8"),
            ("sg-0a1b2c3d4", "9 digits, not 17 or 8"),
            ("sg-1", "1 digit, not 17 or 8"),
            ("subnet-0a1b2c3d4e5f6071O", "`O` is none of the digits 0-9 and a-f"),
            ("subnet-0A1b2c3d4e5f60718", "`A` is none of the digits 0-9 and a-f"),
            ("subnet-orders", "`o` is none of the digits 0-9 and a-f"),
        ] {
            assert_eq!(wrong_digits(id).as_deref(), Some(wrong), "{id}");
        }
    }

    #[test]
    fn every_region_is_one_by_its_shape_too_and_they_are_in_order() {
        assert!(REGIONS.is_sorted());
        assert!(REGIONS.iter().all(|region| Region::parse(region).is_ok()));
    }
}
