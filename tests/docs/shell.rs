//! The commands in a line of shell: enough of its grammar for what the documentation shows, and a mistake for the rest.

/// The commands of a script, each as its words; comments, redirections and assignments before a command are left out.
pub(super) fn commands(script: &str) -> Result<Vec<Vec<String>>, String> {
    let mut commands = vec![Vec::new()];
    for line in script.replace("\\\n", " ").lines() {
        words(line, &mut commands)?;
        commands.push(Vec::new());
    }
    for command in &mut commands {
        let assigned = command.iter().take_while(|word| is_assignment(word)).count();
        command.drain(..assigned);
    }
    commands.retain(|command| !command.is_empty());
    Ok(commands)
}

fn is_assignment(word: &str) -> bool {
    let name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    word.split_once('=').is_some_and(|(before, _)| name(before))
}

fn words(line: &str, commands: &mut Vec<Vec<String>>) -> Result<(), String> {
    let mut word: Option<String> = None;
    let mut redirected = false;
    let mut characters = line.chars().peekable();
    let end = |word: &mut Option<String>, redirected: &mut bool, commands: &mut Vec<Vec<String>>| {
        let Some(word) = word.take() else { return };
        if !std::mem::take(redirected) {
            commands.last_mut().unwrap().push(word);
        }
    };
    while let Some(character) = characters.next() {
        match character {
            ' ' => end(&mut word, &mut redirected, commands),
            '#' if word.is_none() => break,
            quote @ ('\'' | '"') => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some(c) if c == quote => break,
                        Some(c) => word.push(c),
                        None => return Err(format!("a quote has no end: {line}")),
                    }
                }
            }
            '>' | '<' => {
                // `2>file`: the number belongs to the redirection.
                if word.as_ref().is_some_and(|word| word.chars().all(|c| c.is_ascii_digit())) {
                    word = None;
                }
                end(&mut word, &mut redirected, commands);
                while characters.next_if(|c| ">& ".contains(*c)).is_some() {}
                redirected = true;
            }
            '|' | '&' | ';' => {
                end(&mut word, &mut redirected, commands);
                while characters.next_if(|c| "|&".contains(*c)).is_some() {}
                commands.push(Vec::new());
            }
            '$' | '`' | '(' | '*' | '\\' if word.is_none() || character != '*' => {
                return Err(format!("`{character}` is not understood here: {line}"));
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    end(&mut word, &mut redirected, commands);
    Ok(())
}

#[test]
fn a_script_becomes_its_commands() {
    let script =
        "A=b one 'two three' >out 2>&1 # four\none \\\n  --two=\"three\" | five; six <seven && eight\n\n# nine\n";
    let expected = [&["one", "two three"][..], &["one", "--two=three"], &["five"], &["six"], &["eight"]];
    assert_eq!(commands(script).unwrap(), expected);
    assert!(commands("one 'two").is_err());
    assert!(commands("one $(two)").is_err());
}
