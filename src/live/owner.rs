//! Who else a function belongs to, by its tags. Asked only of a function that somebody sets back again and again.

use crate::cloud::{Read, Tags};
use crate::names::FunctionKey;

/// The tag that CloudFormation puts on all that it makes, with the name of the stack; so do SAM, CDK, the Serverless Framework,
/// StackSets and Amplify, which work by it. No one else can set it: `aws:` is reserved.
const STACK: &str = "aws:cloudformation:stack-name";

/// Who made a function, in words, as far as its tags tell; none if they do not.
pub async fn owner(cloud: &dyn Read, key: &FunctionKey, partition: &str) -> Option<String> {
    match cloud.list_tags(key, partition).await {
        Ok(tags) => named(&tags),
        Err(error) => Some(format!("its tags, which may name its owner, cannot be read: {error}")),
    }
}

/// The stack, or what people and their modules usually write for Terraform: `Terraform = "true"`, `ManagedBy = "terraform"`.
fn named(tags: &Tags) -> Option<String> {
    if let Some(stack) = tags.get(STACK) {
        return Some(format!("its tags say that it belongs to the CloudFormation stack `{stack}`"));
    }
    let usual = |(key, value): &(&String, &String)| {
        let letters = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' '], "");
        let (key, value) = (letters(key), letters(value));
        let tool = ["terraform", "opentofu"].iter().any(|tool| key.starts_with(tool));
        (tool && !matches!(value.as_str(), "false" | "no")) || matches!(key.as_str(), "managedby" | "provisionedby")
    };
    let (key, value) = tags.iter().find(usual)?;
    Some(format!("its tag says `{key} = {value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_the_stack_or_the_tool() {
        let stack = "its tags say that it belongs to the CloudFormation stack `orders`";
        for (tags, expected) in [
            (&[][..], None),
            (&[("team", "orders")], None),
            (&[(STACK, "orders"), ("ManagedBy", "cdk")], Some(stack)),
            (&[("Terraform", "true")], Some("its tag says `Terraform = true`")),
            (&[("terraform", "false")], None),
            (&[("terraform-module", "lambda")], Some("its tag says `terraform-module = lambda`")),
            (&[("managed_by", "Terraform")], Some("its tag says `managed_by = Terraform`")),
            (&[("Managed-By", "pulumi")], Some("its tag says `Managed-By = pulumi`")),
            (&[("managed", "yes")], None),
        ] {
            let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            assert_eq!(named(&tags).as_deref(), expected, "{tags:?}");
        }
    }
}
