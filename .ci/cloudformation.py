"""As much of CloudFormation as deploy/ecs/template.yml uses."""

import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).parent.parent
NOTHING = object()


class Template(yaml.SafeLoader):
    """YAML with CloudFormation's short functions: `!Ref X` becomes {"!Ref": "X"}."""


def short(loader, tag, node):
    if isinstance(node, yaml.ScalarNode):
        return {f"!{tag}": loader.construct_scalar(node)}
    return {f"!{tag}": loader.construct_sequence(node, deep=True)}


Template.add_multi_constructor("!", short)


def load(path):
    return yaml.load((ROOT / path).read_text(), Template)


def evaluate(template, resource, given):
    """A resource, with these parameters."""
    values = {}
    for name, parameter in template["Parameters"].items():
        value = given.get(name, parameter.get("Default", ""))
        values[name] = value.split(",") if parameter["Type"].startswith(("CommaDelimitedList", "List<")) else value
    unknown = {name for name in given if name not in values and "::" not in name}
    if unknown:
        raise SystemExit(f"the template has no parameters {unknown}")
    values |= {name: value for name, value in given.items() if "::" in name}
    values["AWS::NoValue"] = NOTHING

    def of(value):
        if isinstance(value, list):
            return [made for made in map(of, value) if made is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), = value.items()
            match function:
                case "!Ref":
                    return values[argument]
                case "!Sub":
                    return re.sub(r"\$\{([^}]+)\}", lambda name: values[name[1]], argument)
                case "!If":
                    name, then, otherwise = argument
                    return of(then if of(template["Conditions"][name]) else otherwise)
                case "!Equals":
                    return of(argument[0]) == of(argument[1])
                case "!Not":
                    return not of(argument[0])
                case "!Join":
                    return argument[0].join(of(argument[1]))
            if function.startswith("!"):
                raise SystemExit(f"{function} is not known here")
        made = {key: of(inner) for key, inner in value.items()}
        return {key: inner for key, inner in made.items() if inner is not NOTHING}

    return of(template["Resources"][resource])
