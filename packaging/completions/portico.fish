# fish completion for portico. Verbs and options are read from its own --help, so they are always those of the command
# that is typed.

function __portico_verb --description 'the verb that was typed, if any'
    for word in (commandline --tokenize --cut-at-cursor --current-process)[2..]
        if not string match --quiet -- '-*' $word
            echo $word
            return 0
        end
    end
    return 1
end

function __portico_in_program --description 'behind --, where a program and its arguments are'
    contains -- -- (commandline --tokenize --cut-at-cursor --current-process)
end

function __portico_verbs
    portico --help 2>/dev/null | awk '
        function flush() { if (name != "") print name "\t" text; name = "" }
        /^examples:/ { exit }
        /^  [a-z]/ { flush(); name = $1; text = $0; sub(/^ +[^ ]+ +/, "", text); next }
        /^   / && name != "" { more = $0; sub(/^ +/, "", more); text = text " " more }
        END { flush() }'
end

function __portico_options
    portico (__portico_verb) --help 2>/dev/null | awk '
        function flush(  i) {
            for (i = 1; i <= count; ++i) if (word[i] ~ /^-/) print word[i] "\t" text
            count = 0
        }
        /^options:/ { on = 1; next }
        on && /^$/ { exit }
        on && /^  (    )?-/ {
            flush()
            names = $0; sub(/^ +/, "", names); text = names
            if (!sub(/^.*[^ ]  +/, "", text)) text = ""
            sub(/  .*/, "", names)
            count = split(names, word, /[ ,]+/)
            next
        }
        on { more = $0; sub(/^ +/, "", more); text = text (text == "" ? "" : " ") more }
        END { flush() }'
end

function __portico_interfaces
    for each in /sys/class/net/*
        string replace --regex '.*/' '' -- $each
    end
end

function __portico_verb_is
    set --local verb (__portico_verb)
    and contains -- "$verb" $argv
end

complete --command portico --no-files
complete --command portico --condition 'not __portico_in_program; and not __portico_verb >/dev/null' \
    --arguments '(__portico_verbs)'
complete --command portico \
    --condition 'not __portico_in_program; and string match --quiet -- "-*" (commandline --current-token)' \
    --arguments '(__portico_options)'
complete --command portico --condition 'not __portico_in_program; and __portico_verb_is addrs' \
    --arguments '(__portico_interfaces)'
complete --command portico --condition 'not __portico_in_program; and __portico_verb_is serve handover' --force-files
complete --command portico --condition 'not __portico_in_program; and __portico_verb_is dial' \
    --arguments '(__fish_print_hostnames)'
complete --command portico --condition 'not __portico_in_program; and __portico_verb_is listen plan why' \
    --arguments 'localhost: unix:/ (__portico_interfaces | string replace --regex "(.*)" "@\$1:")'
complete --command portico --condition __portico_in_program --force-files \
    --arguments '(__fish_complete_command)'
