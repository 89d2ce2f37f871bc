"""Prints the policy of the task role in deploy/ecs/template.yml as CloudFormation would make it of the given parameters
(NAME=VALUE; the others have their defaults), or, with `-`, a policy from stdin. Both in the same order and form, so that diff can
compare them."""

import json
import sys

from cloudformation import evaluate, load

# What CloudFormation itself knows.
PSEUDO = {"AWS::Partition": "aws", "AWS::AccountId": "123456789012", "AWS::Region": "eu-west-1", "AWS::StackName": "stack"}


def as_list(value):
    return sorted(value if isinstance(value, list) else [value])


def normal(policy):
    statements = []
    for statement in policy["Statement"]:
        lists = {key: as_list(statement[key]) for key in ("Action", "Resource")}
        conditions = statement.get("Condition", {}).items()
        condition = {operator: {key: as_list(value) for key, value in keys.items()} for operator, keys in conditions}
        statements.append({**statement, **lists, "Condition": condition})
    return {"Version": policy["Version"], "Statement": sorted(statements, key=lambda statement: statement["Sid"])}


if sys.argv[1:] == ["-"]:
    policy = json.load(sys.stdin)
else:
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    template = load("deploy/ecs/template.yml")
    role = evaluate(template, "TaskRole", {**PSEUDO, **given})
    policy = role["Properties"]["Policies"][0]["PolicyDocument"]
print(json.dumps(normal(policy), indent=1, sort_keys=True))
