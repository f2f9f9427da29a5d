"""How do mail systems call a bounce, a delay, a holiday note? Words in the languages they are written in, as data."""

import re


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# Who writes bounces: the local part or the name in From.
ROBOT = _any(
    r"mailer[-_. ]?daemon|mail[-_. ]?daemon|\bpost ?master\b|mail[ -]delivery|delivery (sub)?system",
    r"mail (administrator|system|server)|system administrator|systemadministrator|\bmailsystem\b",
    r"microsoft (outlook|exchange)|internet mail delivery|\bbounces?\b|mail(er)? robot|message router",
    r"maildelivery|smtp(32)?[-_. ]?(daemon|server|gateway|mailer)|<>|\bndr\b|content[-_ ]filter|mmdf|mdaemon",
    r"mta[-_]?daemon|mailsweeper|mail ?gateway",
)

FAILED_SUBJECT = _any(
    r"undeliver(able|ed)|un-?deliverable|\bnot deliver(ed|able)|(could|can) ?not be delivered|non[- ]?deliver",
    r"deliver[a-z]* (has )?(fail|error|problem|unsuccessful|not|rejected|report|notification|status)",
    r"(fail|error|unable|problem)[a-z]* (in |of |to |with |during |- )?(the )?(mail |message "
    r"|e-?mail )?deliver",
    r"failure (notice|notification|delivery)",
    r"(mail|message|e-?mail)( delivery)? (fail|error|system error|status|undeliver|rejected|bounce|not sent)",
    r"rejected (mail|message)|(mail|message) rejected|automatically rejected|error sending",
    r"return(ed|ing) (mail|message|e-?mail|to sender)|^returned|mail return|delivery[- ]?status",
    r"delivery notification|deliveryreport|delivery report|status notification|user unknown|unknown user",
    r"unknown address|no such user|invalid (address|recipient)|bad address|nondeliverable",
    r"mailbox (full|unavailable|is full|quota)|over quota|address error|addressing error|wrong address|bounced",
    r"unzustellbar|nicht zugestellt|zustellung.{0,20}(fehl|nicht|status)|unbestellbar",
    r"fehler bei der (zustellung|.bertragung)|non remis|non d.{1,3}livr",
    r"chec de (la )?(remise|distribution|livraison)|non distribu|retour de courrier|chec d'envoi|non livr",
    r"adresse .{1,3}rron|no se puede entregar|no entregad|no se ha podido entregar|fallo (en|de) la? ?entrega",
    r"error (en|de) (la )?entrega|no entregable|n.{1,3}o ([a-z]+ )?(entreg|poss.{1,3}vel entregar)",
    r"falha (na|de) entrega|n.{1,3}o.?entreg|non recapit|mancat[oa] (consegna|recapito)",
    r"impossibile (recapitare|consegnare)|consegna.{0,20}(fallit|non)|errore di consegna",
    r"niet.{0,20}(bezorg|afgelever|bestel)|onbestelbaar|kan niet worden bezorgd|mislukt",
    r"(ikke|inte|ej) (\w+ )?(leverer|levererbar|leverbar|leveret|levert|lever)|kunne ikke leveres|oleverer",
    r"leveransfel|kan ikke leveres|toimitus(virhe)?|ei voi(tu)? toimit|toimittaminen ep|palautettu",
    r"niedostarczo|nie dostarczono|niedor.czon|nie mo.na dor|zwrot|nie dor|nedoru.iteln|nedoru.en",
    r"doru.en. se nezda|k.zbes.thetetlen|nelze doru|teslim edilemedi|teslim ba.ar.s|iletilemedi|не ?доставл",
    r"недостав|невозможно доставить|не удается доставить|не удалось доставить|ошибка доставки|возврат|未送達|配信不能",
    r"配信できま|配達不能|エラーメール|送信できま|返送|無法傳遞|无法(送达"
    r"|投递|传递)|投递失败|退信|退件|傳遞失敗|未传递|系统退信|배달되지|배달 (불가|실패)|전송 실패|반송",
    r"μη παραδοτέ|δεν παραδόθηκε|לא ניתן למסור|تعذر (التسليم|تسليم)",
)

FAILED_WORDS = _any(
    r"(could|can|was|were|did|do|has|have|is|are|will) ?(not|n't|n.t) (been |be |get )?"
    r"(able to be )?(successfully )?(deliver|sent|reach|sent on|forward|transmit|accept"
    r")",
    r"unable to (be )?(deliver|send|complete|forward|relay|transmit)|undeliver(able|ed)|non-?deliver",
    r"cannot deliver|couldn.t deliver|can.t deliver|couldn.t be delivered",
    r"fail(ed|ure|s)? (to |in |during |of )?(the )?(mail |message |final )?(deliver|recipient"
    r"|reach|address|to the follow)",
    r"(permanent|fatal|unrecoverable) (fatal )?(error|failure)|permanently (fail|reject)",
    r"deliver[a-z]*( \w+){0,5} (fail|unsuccess|abort|reject|error)",
    r"delivery (to|attempt)[^.]{0,80} (fail|not|unsuccess|reject|has been (suspend|abort))",
    r"(bounc|return)(ed|ing) (to (you|sender|the sender)|mail|message|your|undeliver)|encountered an error",
    r"(has been|was) returned|returned to (you|sender|the sender)|being returned",
    r"return(ing)? your (mail|message)|did not (reach|arrive)|not reach the following",
    r"rejected (your|the|by|for)|was rejected|message (was )?(refused|rejected)|refused (your|the|to accept)",
    r"user unknown|unknown user|no such user|does not exist|recipient (unknown|not found)|address(es)? failed",
    r"mailbox (is )?full|mailbox unavailable|transcript of session|technical details of permanent failure",
    r"giving up on|i.m afraid i wasn.t able|problems? delivering|error (while|when|in|during) (deliver|send)",
    r"could not deliver|not find .{0,40}(user|mailbox|account)|invalid (recipient|address|user)",
    r"konnte.{0,60}nicht (zugestellt|gesendet|.bermittelt)|nicht zugestellt|unzustellbar|unbekannt",
    r"konnten.{0,40}nicht|n.a (pas )?pu .{1,3}tre|n.ont pas pu",
    r"impossible de (remettre|distribuer|d.{1,3}livrer)|non remis",
    r"n.a pas .{1,3}t.{1,3} (remis|distribu|d.{1,3}livr)|inconnu|n.existe pas",
    r"no (se )?(ha |pudo|puede|han|fue|pud)[a-z ]{0,20}(entreg|ser entreg|posible)|no existe|desconocid",
    r"n.{1,3}o (p.de|foi|pode)[a-z ]{0,20}(entreg|poss)|non .{1,3} stat[oa] (possibile|consegnat|recapit)",
    r"impossibile (recapitare|consegnare)|sconosciut|inesistent|niet (worden )?(bezorgd|afgeleverd)",
    r"kunde inte levereras|kunne ikke leveres|ei voitu toimittaa",
    r"nie (mog.a|mo.na|zosta.a|udało)[^.]{0,30}dostarcz|nie istnieje",
    r"не (была?|может быть|удалось|может) (достав|отправ)|не доставлено"
    r"|не существует|配信できません|送信できません|存在しません",
    r"宛先不明|無法(傳遞|送達|投遞)|无法(送达|投递|传递|发送)|不存在"
    r"|被退回|退信|배달(되지|할 수)|teslim edilemedi|не удалось доставить",
    r"<[^<>\s]{1,200}>:\s{0,4}\n",
)

DELAYED_SUBJECT = _any(
    r"\bdelay(ed)?\b|warning: (could not|message|mail)|\(delay\)",
    r"temporar(y|ily) (fail|undeliver|problem|unable)|still (being|trying)|not yet (been )?deliver|deferred",
    r"delivery.{0,30}delayed|verz.{1,3}ger|retard|retraso|ritardo|atraso|f.{1,3}rdr.{1,3}j|viiv.{1,3}st",
    r"op.{1,3}.nien|задерж|遅延|延迟|지연|vertrag",
)
DELAYED_WORDS = _any(
    r"warning (message )?only|do not need to (resend|re-send|retry)|don.t need to re-?send",
    r"no need to (resend|re-send)|need not re-?send|not (yet )?(been )?delivered.{0,80}(will|still|continu)",
    r"(will|shall) (continue to be|keep|be|continue|re-?try|still)( \w+){0,4} (tr(y|ied"
    r"|ying)|retr|attempt|deliver)",
    r"delivery attempts will continue|has (not yet|been) (been )?delayed|has been delayed|is (being )?delayed",
    r"still (be )?(trying|retrying|queued|undelivered|in the queue)|remains? (on|in) the (mail )?queue",
    r"no action is required|attempts? to deliver .{0,60}will (be )?continu|queued for",
    r"will (be )?(retry|retried)|not your message has failed|(weiterhin|erneut).{0,60}versuch",
    r"wird weiter versucht|de nouvelles tentatives|seguir. intentando|continuer.{0,40}tent",
)
GIVEN_UP = _any(
    r"giv(en|ing) up|gave up|will not (be )?(retr|attempt|tr)|no (more|further) (attempt|tr|deliver)",
    r"has expired|expired|permanent|fatal|too long|too old|returned|(been|being) (cancel|abort)",
)

AUTO_SUBJECT = _any(
    r"out[- ]of[- ](the[- ])?office",
    r"auto(matic|mated|matische|matisch|matica|m.{1,3}tica|matique|maattinen|matiskt|matyczna"
    r"|matick.{1,3})?[- :]{0,3}(e-?mail )?(repl|respon|antwort|r.{1,3}ponse|svar|antwoord"
    r"|risposta|respuesta|resposta|vastaus|acknowledg|odpowied|odpov.{1,3}|válasz)",
    r"\bvacation\b|on (leave|holiday|vacation)|away from (my|the) (mail|office|desk)|i am (away|out|on)",
    r"\bI'm (away|out|on)\b|\b(is|am) (currently )?(out|away)\b|auto[- ]?repl|auto[- ]?respon|autorespuesta",
    r"autoreply|auto:|abwesen|nicht im (b.{1,3}ro|haus)|urlaub|automatische antwort|eingangsbest|autoantwort",
    r"außer haus|absen[ct]|en cong|absence du bureau|hors du bureau|r.{1,3}ponse (automatique|d.absence)",
    r"fuera de (la )?oficina|ausente|ausencia|vacaciones|f.{1,3}rias|aus.{1,3}ncia|fora do escrit|ferie",
    r"fuori (sede|ufficio)|assenza|assente|risposta automatica|afwezig|niet aanwezig|semester|fr.{1,3}nvaro",
    r"autosvar|fravær|poissa|lomalla|automaattinen|nieobecno|poza biurem|odpowied. automat|nep.{1,3}tomn",
    r"mimo kancel|szabads|tatilde|ofis d|автоответ|отпуск|отсутств|вне офиса"
    r"|自動(応答|返信)|不在|休假|自动(回复|答复|回覆)|自動回覆",
    r"부재|자동 (회신|응답)|έξω από το γραφείο|thank(s| you) for (your|contacting)|we (have )?received your",
    r"your (message|mail|e-?mail|request|inquiry|ticket) (has been |was )?received",
    r"received your (mail|message|e-?mail)|ticket (received|created|#)|case (number|#)|\[ticket",
    r"receipt of your|request received|support request|acknowledg",
    r"(please )?(confirm|verify) (that )?(you|your)|challenge|verification required|approve|whitelist",
    r"sender (verification|confirmation)|message (is )?(held|awaiting|quarantin|waiting)|action required|human",
    r"anti-?spam.{0,20}(confirm|verif)|click to|to be delivered|no longer (with|at|works|employed)",
    r"(changed|new) (e-?mail )?address|address (has )?change|moved",
)
AUTO_WORDS = _any(
    r"out of (the )?office|on vacation|on (annual |maternity |paternity |sick |parental )?leave|on holidays?\b",
    r"away from (my|the) (desk|office|mail|e-?mail)|i am (currently )?(away|out|not in|on)",
    r"i will (be|return|reply|respond|get back|read)|i'll (be|get|reply|read)",
    r"will (reply|respond|get back|answer) (to you|as soon|when|upon)",
    r"auto(mated|matic|matically)[- ](generated )?(reply|response|respon|message|e-?mail)|auto-?(repl|respon)",
    r"thank(s| you) for (your|contacting|writing|you) |(have|has) received your|in my absence",
    r"limited access to|ich bin|bin ich|abwesen|urlaub|vielen dank f.{1,3}r (ihre|deine)|je suis|absent",
    r"en cong|estoy|estar.{1,2} (de|fuera)|ausente|gracias por|estou|obrigad|sono (assente|fuori|in)",
    r"grazie per|ik ben|afwezig|jag är|olen|jestem|dziękuj|в отпуске|спасибо|благодар",
    r"(confirm|verify|prove) (that )?(you|your|this)|click (on )?(the|this|here)",
    r"reply to this (message|e-?mail)|whitelist|approved sender|guest list|challenge|human|spam ?arrest|boxbe",
    r"bluebottle|tmda|sender verification|no longer (with|at|work|employ|using|monitor|use|check)",
    r"new (e-?mail )?address|update your (records|address)",
)
AUTO_AGENT = _any(
    r"vacation|auto.?(repl|respon)|out.?of.?office|autoreply|infinite loop prevention",
)

# Somebody answers or hands on a mail that is called so.
ANSWERED = re.compile(r"^\W{0,3}(re|fwd?|aw|wg|tr|rv|sv|vs|rif|antw|enc|odp)\s?:", re.IGNORECASE)
FINAL_CODE = re.compile(r"(?<![\d.])5(?:\d\d[ -]|\.\d\.\d)")

# Where the returned mail begins.
CUT = re.compile(
    r"^[ \t>*#=_-]{0,40}(?:(?:this is |below (?:this line )?is |here is "
    r"|the following is |enclosed is )?(?:a )?(?:copy of|start of)?[ ]?(?:the |your |my )?"
    r"(?:header of the |headers of the )?(?:original|unsent|returned"
    r"|undelivered|failed|rejected) (?:message|mail|e-?mail|headers?)\b"
    r"|(?:below this line is|this is a copy of|a copy of|included (?:below )?is a copy"
    r"|first \d+ lines of|message follows|message headers?(?: follow"
    r"| are)|message header|headers? of (?:the|your)|unsent message|returned message)"
    r"|urspr.{1,3}ngliche (?:nachricht|mail)|originalnachricht|message d.origine"
    r"|message original|mensaje original|mensagem original|messaggio originale"
    r"|oorspronkelijk|исходное сообщение|元のメッセージ)"
    r"[^\n]{0,100}$|^(?:received: |return-path: ?|message-id: |delivered-to: "
    r"|x-originating-ip|dkim-signature:|mime-version: 1)",
    re.IGNORECASE | re.MULTILINE,
)
