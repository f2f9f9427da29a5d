"""Which words do servers use? Patterns that the live table and the table of final bounces share, in many languages.

Written for texts that `plain` has been over: one line, any case, no second code in the middle of a sentence. Each
pattern is made of short literals and bounded gaps, so that a hostile text costs no more than its length.
"""

import re

# `550-5.1.1 The account 550-5.1.1 does not exist`: a reply of several lines, run together.
_CONTINUED = re.compile(r"[\s(]*\b[245]\d\d[- ](?:#?[245]\.\d{1,3}\.\d{1,3}\b)?[\s-]*")
_URL = re.compile(r"\bhttps?://\S+|\bwww\.\S+", re.IGNORECASE)
_LISTS = re.compile(
    r"spamhaus|spamcop|barracuda|sorbs|senderbase|proofpoint|cloudmark|trustedsource|dnsbl|/rbl|blacklist|blocklist"
    r"|abuseat|uceprotect|invaluement|S31[45]0",
    re.IGNORECASE,
)
# IronPort's heading of whatever a server says at RCPT, and Exchange Online's of what another server said.
_BOILERPLATE = re.compile(
    r"5\.1\.0 - unknown address error|remote server returned unknown recipient or mailbox unavailable", re.IGNORECASE
)
# What a system only thinks possible decides nothing: "the address may be misspelled or may not exist".
_SUPPOSED = re.compile(
    r"\b(may|might) (not|no longer|be)\b|\bif (the|this|that|your) [^.;,]{0,60}?\b(not|n.t) exist"
    r"|(如果|若|可能|是否)[^，。；]{0,20}(不存在|无效|無效)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s<>\"'(),:;\[\]]{1,128}@[^\s<>\"'(),:;\[\]]{1,255}")
_HOST = re.compile(r"\b(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}\b(?!@)", re.IGNORECASE)
_LONGEST = 4000

_WHO = (
    "(rcpt|user|recipient|mailbox|mail ?box|account|address|addressee|e-?mail|customer|person|alias|inbox"
    "|subscriber|member)"
)
_SHORT = {
    "<who>": _WHO,
    "<gap>": "[^.;]{0,60}?",
    "<locked>": r"suspend|\block(ed|ing)?\b|temporar|frozen|currently (un|not )|on hold",
}


def _any(*patterns: str) -> str:
    pattern = "|".join(patterns)
    for name, meant in _SHORT.items():
        pattern = pattern.replace(name, meant)
    return pattern


# Nobody lives there, in so many words.
NOBODY = _any(
    r"\bthisaddress\W{1,4}(is |was )?(does not exist|doesn.t exist|not exist|unknown\b"
    r"|not found|invalid\b|(is )?not an? (valid|known|active))",
    r"\b(rcpt|user|recipient|mailbox|account|address|addressee|customer|local part|login"
    r"|alias)s?( name| id| address| email)?( (is|are|was|were))?( currently| an?)? ?[:-]? ?"
    r"(unknown|unk\b|invalid|nonexist|non-exist|not valid|not known|illegal\b|unrecogni[sz]ed"
    r")",
    r"\b(unknown|no such|invalid|nonexistent|non-existent|non-existing|nonexisting|undefined"
    r"|unrecogni[sz]ed|bad|illegal|wrong|incorrect|not a valid|not a known"
    r"|unroutea?ble|unrouteable mail|can't find( a)?( valid)?) (or [a-z]+ )?(virtual )?"
    r"(local )?(e-?mail )?(recipient|user|mailbox|account|address|addressee|local[ -]?part"
    r"|alias|person|customer|login|destination mailbox|username|forwarding address|final delivery userid"
    r"|user ?id|name)",
    r"\b<who>\b<gap> (does not|doesn.t|do not|did not|don't|not) (seem to )?(currently )?(exist|have an? )",
    r"\b<who>s?\b<gap> (could not be|couldn't be|cannot be|can not be|can't be|was not"
    r"|wasn.t|is not|isn.t|not|were not) ?(be )?found",
    r"\b<who>\b<gap> (not|isn't|no longer) (listed|known|registered|recogni[sz]ed|present"
    r"|in (the|our|my|this)|here\b|on this|a (valid|known))",
    r"\bnot (an? |our |one of our )?(valid |known |active |local |such )?(e-?mail )?(user"
    r"|recipient|mailbox|account|address|alias|customer)\b",
    r"\bno (mailbox|<who>) (here|found|by that|with (that|this)|exists|of that|named|available)",
    r"\bno (one )?(such|valid) (person|one|recipients?|name|here)\b|\bno mailbox\b",
    r"\bthere is no (such )?(user|one|account|mailbox|recipient)|\bmailbox not found|\bnot our customer",
    r"\bwe do(n't| not) have (a|any) (user|mailbox|account)",
    r"\bdoesn.t have an? (account|mailbox|\S{0,40} ?account)|\bhas no (mailbox|account)\b",
    r"\bno account by that name|\bdelivery error: dd (this user|sorry, your)",
    r"\bnot listed in\b.{0,40}(address book|directory|name)|\brecipnotfound|\brecipientnotfound",
    r"\bunable to (find|lookup|look up) (the )?(recipient|user|mailbox|alias)|does not have a final e-?mail",
    r"\bbad_recipient|\bno matches to name",
    r"\brecipient address rejected: (unknown|undeliverable address: (unknown|.{0,80}(does not exist|unknown)))",
    r"\b(destination|the) (mailbox|address|server for this recipient) .{0,30}(is )?(invalid|unknown)\b",
    r"\b(e-?mail )?address (you entered |that you (entered|typed) )?(was not|wasn't|couldn't be"
    r"|could not be) (found|recogni[sz]ed)",
    r"\bsorry, no mailbox|\bunknown or illegal alias|\bis a deactivated mailbox",
    r"\badresse? d.?.?au moins un destinataire invalide|\bofr_?416",
)

# The same in other languages.
NOBODY_ELSEWHERE = _any(
    r"(benutzer|empf.{1,3}nger|postfach|adresse|konto|mailbox|account).{0,40}(unbekannt"
    r"|existiert nicht|nicht gefunden|nicht vorhanden|ung.{1,3}ltig)",
    r"(destinataire|utilisateur|adresse|bo.{1,3}te|compte).{0,50}(inconnue?|n.existe pas"
    r"|introuvable|inexistante?|invalide)",
    r"(usuario|destinatario|buz.{1,3}n|cuenta|direcci.{1,3}n|casilla).{0,50}(no existe"
    r"|desconocid[oa]|inexistente|no encontrad[oa]|no se encontr|no es v.{1,2}lid)",
    r"(usu.{1,2}rio|destinat.{1,2}rio|caixa|conta|endere.{1,2}o).{0,50}(n.{1,2}o (existe"
    r"|encontrad|foi encontrad)|inexistente|desconhecid|inv.{1,2}lid[oa])",
    r"cuenta no activa",
    r"(utente|destinatario|casella|indirizzo).{0,50}(sconosciut|inesistente|non esiste|non trovat|non valid)",
    r"(u.ytkownik|konto|skrzynka|adres|odbiorca).{0,50}(nie istnieje|nieznan|nie znaleziono"
    r"|nie ma|jest zablokowane)",
    r"(gebruiker|ontvanger|adres|postvak|mailbox).{0,50}(onbekend|bestaat niet|niet gevonden|ongeldig)",
    r"(anv.{1,2}ndare|mottagare|adress|brevl.{1,2}da|konto).{0,50}(finns inte|ok.{1,2}nd|hittades inte)",
    r"(bruger|modtager|adresse|postkasse|mottaker|bruker).{0,50}(findes ikke|finnes ikke"
    r"|ukendt|ukjent|ble ikke funnet)",
    r"(k.{1,2}ytt.{1,2}j.{1,2}|vastaanottaja|osoite|postilaatikko).{0,50}(ei l.{1,2}ydy"
    r"|ei ole olemassa|tuntematon)",
    r"(u.ivatel|p..jemce|schr.nka|adresa).{0,50}(neexistuje|nezn.m|nenalezen)",
    r"(kullan.c.|al.c.|adres|posta kutusu).{0,50}(bulunamad|mevcut de.il|ge.ersiz|yok\b)",
    r"(пользовател|адрес|ящик|получател|абонент).{0,60}(не существует|не найден|неизвест"
    r"|отсутствует|недействител|удал[её]н)",
    r"не существует|неизвестный (пользователь|адрес)|нет такого (пользователя|адреса|ящика)",
    r"(用户|用戶|收件人|邮箱|郵箱|邮件地址|帳號|账号).{0,30}(不存在"
    r"|未找到|找不到|无效|無效)|不存在的?(用户|用戶|邮箱|收件)",
    r"(宛先|ユーザ|受信者|メールアドレス|アドレス|メールボックス).{0,40}(存在しま"
    r"|見つかりま|不明|無効|ありません)|(사용자|수신자|메일함|주소).{0,30}(없|존재하지|찾을 수)",
)

# A program on the far side broke down; what it says of names is about itself.
BROKEN = _any(
    r"couldn.t create|can.t create|command died|i/o error|disk failure|mailer error|local configuration error",
)
# An account that was shut and will not open again; a locked one may.
SHUT = _any(
    r"\b(user|mailbox|account|address|alias|inbox|customer)\b[^.;:]{0,30}? (has been |was |is |been |are )?"
    r"(permanently )?(disabled|deactivated|de-activated|discontinued|terminated|closed|deleted|retired|expired|inactive"
    r"|not active|not activated|dormant|abandoned)\b",
    r"\b(disabled|deactivated|discontinued|terminated|closed|expired|inactive|deleted|obsolete|abandoned"
    r"|dormant) (e-?mail )?(user|recipient|mailbox|account|address|alias|customer)\b",
    r"\b(user|recipient|mailbox|account|address|alias|person|customer)\b.{0,60}\bno longer (an? )?(valid|active|exists?"
    r"|available|in (use|service)|used|with (us|the)|employed|here|at this|on (this |the )?server|works?|a customer)",
    r"\bhas left the (company|organi[sz]ation)|\binactive on this (domain|server|system)|\baccount inactive",
    r"\bbo.{1,3}te du destinataire (archivee|inactive)|\bkonto jest zablokowane|\binactivity\b",
    r"expirado por falta de uso",
)
LOCKED = _any(
    r"\b<who>\b<gap> ?\b(<locked>)|\b(<locked>)[a-z]* <who>\b|\bmailbox (is )?(unavailable|inaccessible)",
    r"\bnot accepting (mail|any mail|messages|e-?mail)|\bis not accepting|\baccount (is )?(blocked|suspended)",
    r"\bunverified address\b",  # Postfix could not ask the mailbox's own server
)

FULL = _any(
    r"too many (messages|mails) (on the server|in the)|space not enough",
    r"\b(mail ?box|inbox|maildrop|mail ?folder|account|user|recipient|disk|storage|file ?system"
    r"|quota|drop ?file|mail|spool)\b[^.;]{0,50}? ?\b(is |are |too |was )?(almost )?(full\b"
    r"|overfull)",
    r"\bfull mail ?box|\bmailbox_?full|\bmailboxfull",
    r"over[- ]?(the )?(allowed |disk |mail |storage )?(quota|drive limit|storage)|overquota|quotaexceed",
    r"quota.{0,30}(exceed|violat|reach|full|error|has been|over)",
    r"(exceed|violat|reach|over|above|out of|beyond)[a-z]*\b[^.;]{0,50}?\b(quota|allocat"
    r"|storage limit|storage space|mailbox size|mailbox limit|space (on|in|for)|disk space"
    r"|(maximum |allowed )?(mail)?box (size|storage)|size limit of the (mailbox|recipient"
    r")|mail storage|storage)",
    r"exceeded storage|insufficient (disk|system|mailbox|mail|user)?[ -]?(storage|space|quota|disk)",
    r"not enough (storage|disk|space|room|free)|out of (storage|disk|space)|no (more )?(disk )?space left",
    r"(mailbox|user|recipient|account)[^.;]{0,30} (exceed|has (too many|exceed))|no space",
    r"too many messages in (the |this )?mailbox|maildir over|(mailbox|account) size (limit )?exceeded",
    r"mailbox .{0,20}has exceeded|over its (quota|limit)|\bdiskspace|mailbox limit|ofr_?417",
    r"boite du destinataire pleine|bo.{1,3}te .{0,40}pleine|postfach .{0,30}voll|speicherplatz",
    r"buz.{1,2}n .{0,30}lleno|caixa .{0,40}cheia|casella .{0,30}piena|skrzynka .{0,30}(pe.na|przepe)",
    r"postvak .{0,20}vol\b|brevl.{1,2}dan .{0,20}full|ящик .{0,30}(переполнен|полон)|переполнен|邮箱.{0,10}满",
    r"空间不足|容量.{0,10}(超|オーバー)|excede.{0,30}(cuota|cota)|cuota .{0,20}excedid|cota .{0,20}excedid",
)

TOO_BIG = _any(
    r"\b(message|mail|e-?mail|size|attachment|body)\b[^.;]{0,40}?\b(too (big|large)|exceeds?"
    r"( the)?( \w+){0,4} (size|limit|maximum)|larger than|bigger than)",
    r"\b(max(imum)?|fixed|allowed)( \w+){0,2} (message|mail|e-?mail) ?(size|length)",
    r"message size (exceeds|limit)|message length exceeds|size limit|header size exceeds",
    r"message (is )?too long|line limit|line too long|exceeds? (the )?(maximum )?(message )?size|too large",
    r"too big|msgsize",
)

# A throttled sender: the same words come with 4xx and with 5xx.
FAST = _any(
    r"too many (invalid|bad|unknown|non-?existent)",
    r"too (quickly|fast|often|frequent)",
    r"too (much|many) (mail|e-?mails?|messages|connections?|concurrent|sessions|recipients"
    r"|requests|errors|smtp|simultaneous)",
    r"at a rate that|rate[- ]?limit|ratelimit|limit(ed)? the rate|sending rate|message rate|\bthrottl",
    r"slow(ing)? down|\[TSS?\d|\[TS0|frequency limited|excessive (volume|rate)|unusual rate",
    r"(hourly|daily|sending|recipient|rate|connection|message|submission|envelope) (sending "
    r"|user )?(limit|quota|count|allowance)( has been| was| is)? ?(exceeded|reached|hit"
    r")?",
    r"exceed[a-z]* (the |its |their |your )?(maximum |max |allowed )*(rate|hourly|daily"
    r"|number of (messages|connections|recipients)|connection|message rate)",
    r"temporarily deferred due to|unexpected volume|concurrent (smtp )?connections|RP:(CEL|TRC|QRC)",
    r"MI:(CEL|CAN)|RL0000\d\d|ofr_?999|ofr00[45]_|server busy|system load",
    r"resources? temporarily (not available|unavailable)|too busy",
)
GREY = _any(
    r"gr[ea]y-?list|grey ?listed|gray ?listed|please (come|check) back",
    r"internal resources? (are )?temporarily unavailable|deferred for \d+|try again in \d+ (second|minute)",
    r"not yet authori[sz]ed to deliver mail",
)

# What a server thinks of us.
# Postfix and Exim tell after which command they heard it: at MAIL nobody knew yet for whom it was.
AT_MAIL = _any(
    r"(after|in reply to|response to) mail from\b",
)
SENDER = _any(
    r"\bsender('s)?( e-?mail)?( address)?( domain)?\b[^.;]{0,50}?\b(rejected|verif|invalid"
    r"|not (allowed|exist|found|valid|permitted|accepted|authori[sz]ed)|unauthori[sz]ed"
    r"|unknown|denied|refused|does(n't| not)|must|blocked|blacklisted|null mx|no (valid )?mx)",
    r"from: domain",
    r"\b(domain of sender|sender domain|sending domain|envelope sender|bad sender|badmailfrom"
    r"|mail ?from.{0,30}(must|reject|denied|not|invalid)|return[- ]?path|reverse[- ]path"
    r"|from address|sender verify|verify sender|sender callout|callback)\b",
    r"\b(invalid|unknown|unauthori[sz]ed|forged|fake|bad|unresolvable) (envelope |mail )?(sender|from|return)",
    r"\bsend as\b|not owned by user|your (e-?mail )?(address|domain|mail) (is|was|has been|does)",
    r"\bfrom (unknown|unrecogni[sz]ed|unverified) (users?|senders?|people|persons?|addresses|accounts?|sources?)\b",
    # The same in other languages, else the words for an unknown recipient would be found in it.
    r"\babsender[^.,;:]{0,40}(unbekannt|existiert|nicht (gefunden|vorhanden|erlaubt|zul)|ung.{1,3}ltig|abgelehnt"
    r"|gesperrt)",
    r"exp.{1,3}diteur\b[^.,;:]{0,40}(inconnue?\b|n.existe pas|introuvable|inexistant|invalide|refus)",
    r"\b(remitente|remetente)\b[^.,;:]{0,40}(no existe|n.{1,2}o existe|desconocid|desconhecid|inexistente|inv.{1,2}lid"
    r"|no v.{1,2}lid|no encontrad|n.{1,2}o encontrad|rechazad|rejeitad)",
    r"\bmittente\b[^.,;:]{0,40}(sconosciut|inesistente|non esiste|non trovat|non valid|rifiutat)",
    r"\bnadawc[^.,;:]{0,40}(nie istnieje|nieznan|nie znaleziono|odrzucon)",
    r"\bafzender[^.,;:]{0,40}(onbekend|bestaat niet|niet gevonden|ongeldig|geweigerd)",
    r"\b(avs.{1,2}ndar|avsender|afsender)[^.,;:]{0,40}(finns inte|finnes ikke|findes ikke|ok.{1,2}nd|ukjent|ukendt)",
    r"l.{1,2}hett.{1,2}j.{1,2}[^.,;:]{0,40}(ei l.{1,2}ydy|ei ole olemassa|tuntematon)",
    r"\bodes.{1,2}latel[^.,;:]{0,40}(neexistuje|nezn.m|nenalezen)|\bg.{1,2}nder(en|ici)[^.,;:]{0,40}(bulunamad|ge.ersiz)",
    r"отправител[^.,;:]{0,40}(не существует|не найден|неизвест|недействител|отклон)",
    r"(发件人|發件人|寄件人|寄件者)[^，。；：]{0,15}(不存在|无效|無效|未找到|找不到|被拒)",
    r"(差出人|送信者|送信元)[^、。：]{0,20}(存在しま|見つかりま|不明|無効)",
    r"(보낸 사람|발신자|송신자)[^.,:]{0,20}(없|존재하지)",
)
UNSIGNED = _any(
    r"\bdmarc\b|\bdkim\b|\bspf\b|unauthenticated|not authenticated",
    r"authentication (requirement|check|fail|information)|sender policy framework|senderid|sender id\b",
    r"domainkeys?|authenticated mail|fail(s|ed|ing)? authentication|not aligned|required authentication level",
    r"anti-?spoof|header based|spoof",
)
NAMELESS = _any(
    r"\breverse (dns|lookup|name|hostname|address)|\brdns\b|\bptr\b|fcrdns|\bhelo\b|\behlo\b",
    r"cannot resolve your|unresolvable|can.t (resolve|find) your (host|reverse|hostname|address)",
    r"client host rejected|cannot find your (reverse )?hostname|dynamic (ip|address|pool|host)",
    r"(in)?valid (host|domain ?)name for your|dns (a-record|mx-record|validation)|bad dns",
    r"\bip (name|address) lookup|fix reverse|\bip address\b|\b(your"
    r"|sending|client) ip\b|your host\b|my name was rejected|mismatch|forward-confirmed",
    r"no (valid )?(reverse|rdns|ptr)|server'?s? (ip )?(address|host ?name) (does not|is not)",
)
LISTED = _any(
    r"\bblock(ed|ing|list|ed-list|s)?\b|black[- ]?list|deny ?list|block ?list|\bbanned\b|\bban\b|reputation",
    r"\bdnsbl|\brbl\b|\brblsmtpd\b|\bdul\b|\bsbl\b|\bxbl\b|spamhaus|spamcop|sorbs|barracuda|senderbase",
    r"senderscore|trustedsource|cloudmark|S31[45]0|\bOU-00\d|\[?BL\d\d|\bBL0000|\bpolicy\b|policies",
    r"\bprohibited\b|not welcome|you are not allowed|complain|\babuse\b|poor reputation|bad reputation",
    r"listed (in|on|at|by)\b|\bunsolicited\b|ofr_?10\d|\bHVU:|\bHL:(ITC|REP|MEP)|suspected bounce",
    r"dictionary attack|harvest|csi block|administrative prohibition|local policy|refused (by|due to)",
    r"(mail|e-?mail|messages?|connections?) (from|to|by) .{0,60}(is|are|was|not|been) "
    r"(currently |being )?(rejected|refused|denied|accepted|allowed|permitted)",
    r"access (is )?denied|client (host )?(denied|rejected|blocked)|not accept(ed|ing)? (mail |messages )?from",
    r"IP address .{0,50}(rejected|denied)|user rules|recipient preferences",
    r"only accept(s|ing)? (mail|messages) from|does not accept (mail|messages) from",
    r"sender .{0,20}not authenticated|not allowed to send|permission to (send|post)|refuse to receive",
    r"restricted|moderat|whitelist|white ?list|challenge|拒收|黑名单|黑名單",
)
SPAM = _any(
    r"\bspam|junk ?mail|\bvirus|\bviral|malware|phish|\bbulk\b|\bworm\b|infected|message content",
    r"content (rejected|denied|filter|policy|restriction)|content.{0,20}(not allowed|unacceptable|rejected)",
    r"unacceptable content|mail content denied|DT:SP|DT:SUM|\bUCE\b|looks like|suspicious|scor(e|ed|ing)\b",
    r"offensive|objectionable|prohibited (content|attachment)|ofr_?5\d\d|mail rejet|attachment",
    r"illegal attachment|\burl\b|uribl|surbl|\bPH01\b|fingerprint|filtered",
    r"banned (word|content|file|extension)|\[HM\d\d|\[CS\d\d|\[HC\d\d|security (issue|risk|threat)|5\.6\.\d",
)
# RFC 5321's words for any 550, where they are the whole reason.
NO_MAILBOX = rf"^(?!.*({LISTED})).*?requested action not taken: mailbox unavailable"
RELAY = _any(
    r"relay(ing)?( access| mail)?( is| for this \w+)? ?(denied|not permitted|not allowed"
    r"|prohibited|disallowed|attempt|restrict)",
    r"unable to relay|cannot relay|can.t relay|not (a )?(relay|gateway)|does not relay|won.t relay",
    r"we do not relay|do not relay|relay ?denied|relaying|rcpthosts|not permitted to relay|no relay",
    r"isn.t (allowed to be|in my (list|control))|open relay",
)
NO_DOMAIN = _any(
    r"\bauthoritative answer|indicated no smtp service",
    r"\b(no such|unknown|non-?existent|nonexistent|unregistered) (mail )?(domain|host ?name in)\b",
    r"\bdomain( name)?\b<gap> (does not exist|doesn't exist|not exist|couldn.t be found"
    r"|could not be found|was not found|isn.t found|unknown\b|has expired|no longer exists"
    r")",
    r"domain not found|domain does not exist|nxdomain|unrouteable mail domain|unroutable mail domain|null mx",
    r"does not accept mail \(nullmx|domain has no valid|no mail (server|host)s? for",
    r"all relevant mx records point to non-existent|doesn't (receive|accept) (e-?)?mail|does not accept mail\b",
)
NO_HOST = _any(
    r"host (is )?(unknown|not found)|unknown host|host or domain name not found|no such host",
    r"name (or service )?not known|name server: |couldn.t find any host|cannot find (the )?host",
    r"name service error|can.t find host|hostname.{0,30}(unknown|not found)|no (valid )?mx",
    r"(could not|cannot|couldn.t|unable to) (be )?(resolve|find)[^.;]{0,30} (host|domain|address|mx|a record)",
    r"dns (error|failure|lookup|query)|mx record|bad destination (host|system)|unrouteable (host|domain)",
    r"unable to route|unrout(e?)able",
)
UNREACHED = _any(
    r"timed? ?-?out|time ?out|connection (refused|reset|lost|dropped|closed|died|failed|was)",
    r"network (is )?unreach|no route to|unreachable|no answer|not (reachable|responding|answering)",
    r"could not (connect|reach)|couldn.t (connect|reach|establish|make)|can.t connect|cannot connect",
    r"lost connection|retry time(out)?|retry timeout|too long|queue too long|expired|giv(en|ing) up",
    r"delivery time|unable to (connect|reach|deliver .{0,30}in (time|\d))",
    r"has not been (collected|delivered) (for|after)|bad connection|i/o error|too old|no smtp service",
    r"host down|host (is )?(down|unreach)",
)
LOOPED = _any(
    r"\bloop|too many hops|hop count|received: ?(lines|headers)|mail for .{0,60} loops back",
    r"forwarding to itself|sent to itself",
)


def plain(said: str) -> str:
    """A server's words ready to be searched: one line, no repeated codes, no URL, no address.

    Names in addresses and URLs must not decide: a host called spam-filter may say that somebody is unknown.
    """
    text = " ".join(said[:_LONGEST].split())
    text = _URL.sub(lambda found: " listed in " if _LISTS.search(found[0]) else " ", _BOILERPLATE.sub(" ", text))
    text = _SUPPOSED.sub(" perhaps ", _ADDRESS.sub(" thisaddress ", text))
    return " ".join(_CONTINUED.sub(" ", text).split())


def without_hosts(text: str) -> str:
    """The same without the names of machines."""
    return " ".join(_HOST.sub(" ", text).split())
