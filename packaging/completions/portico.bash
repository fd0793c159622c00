# bash completion for portico. Verbs and options are read from its own --help, so they are always those of the command
# that is typed.

_portico_verbs() {
    "$1" --help 2>/dev/null | awk '/^examples:/ { exit } /^  [a-z]/ { print $1 }'
}

# Each option's names; with `valued`, only of those that take a value.
_portico_options() {
    "$1" ${2:+"$2"} --help 2>/dev/null | awk -v valued="${3:-}" '
        /^options:/ { on = 1; next }
        on && /^$/ { exit }
        on && /^  (    )?-/ {
            names = substr($0, 3); sub(/^ +/, "", names); sub(/  .*/, "", names)
            count = split(names, word, /[ ,]+/)
            if (valued != "" && word[count] ~ /^-/) next
            for (i = 1; i <= count; ++i) if (word[i] ~ /^-/) print word[i]
        }'
}

_portico_interfaces() {
    local each
    for each in /sys/class/net/*; do
        [[ -e $each ]] && echo "${each##*/}"
    done
}

# What is typed after the last colon or equals sign is a word of its own for readline; it is put together again.
_portico() {
    local command=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb='' i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; ++i)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then # a program and its arguments
            if declare -F _command_offset >/dev/null; then
                _command_offset $((i + 1))
            elif ((i + 1 == COMP_CWORD)); then
                mapfile -t COMPREPLY < <(compgen -c -- "$current")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
            fi
            return
        fi
        [[ -z $verb && ${COMP_WORDS[i]} != -* ]] && verb=${COMP_WORDS[i]}
    done

    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_portico_options "$command" "$verb")" -- "$current")
    elif [[ -z $verb ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_portico_verbs "$command")" -- "$current")
    elif _portico_options "$command" "$verb" valued | grep -qxF -e "$before"; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    else
        case $verb in
        addrs) mapfile -t COMPREPLY < <(compgen -W "$(_portico_interfaces)" -- "$current") ;;
        serve | handover) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        dial) mapfile -t COMPREPLY < <(compgen -A hostname -- "$current") ;;
        listen | plan | why)
            mapfile -t COMPREPLY < <(compgen -W \
                "localhost: unix:/ $(_portico_interfaces | sed 's/.*/@&:/')" -- "$current")
            compopt -o nospace 2>/dev/null
            ;;
        esac
    fi
}

complete -F _portico portico
