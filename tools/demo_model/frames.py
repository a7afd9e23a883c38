"""Everyday sentences from frames, so that common spoken words and numbers are frequent."""

import random
from dataclasses import dataclass

from tools.demo_model.sentences import Language, tidy


@dataclass(frozen=True, slots=True)
class Frames:
    """The words of one language, comma-separated, and the patterns that join them."""

    subjects: str
    verbs: str
    objects: str
    times: str
    numbers: str
    minutes: str
    waiting: str
    meeting: str


FRAMES: dict[Language, Frames] = {
    "en": Frames(
        subjects="I,you,we,they,my friend,the teacher,the doctor,our team,the customer,"
        "her brother,the manager,everybody,the driver,a student,the new engineer",
        verbs="need,want,like,bought,sold,found,lost,remember,forgot,sent,opened,closed,"
        "cleaned,called about,talked about,heard about,read about,worked on,looked at,paid for",
        objects="the red car,a cup of coffee,the meeting notes,the train tickets,"
        "a glass of water,the report,some fresh bread,the kitchen window,an old book,"
        "the weather,the project plan,the phone,a small house,the garden,the music,"
        "the answer,the next step,the email,a birthday present,the transcript,"
        "the audio file,the microphone",
        times="today,yesterday,tomorrow morning,last week,next month,in the afternoon,"
        "on Monday,on Friday evening,after lunch,before dinner,at the office,at home,"
        "in the city,near the river,with great care,for the first time,"
        "as soon as possible,every day,right now,again",
        numbers="one,two,three,four,five,six,seven,eight,nine,ten,eleven,twelve,thirteen,"
        "fourteen,fifteen,twenty,thirty,forty,fifty,sixty,seventy,eighty,ninety,"
        "one hundred,two thousand",
        minutes="thirty,fifteen,forty five,sharp",
        waiting="there are {number} people waiting {time}",
        meeting="the meeting starts at {number} {minute} {time}",
    ),
    "de": Frames(
        subjects="ich habe,du hast,wir haben,mein Freund hat,die Lehrerin hat,der Arzt hat,"
        "unsere Gruppe hat,der Kunde hat,ihr Bruder hat,die Leiterin hat,jemand hat,"
        "der Fahrer hat,eine Studentin hat,der neue Kollege hat",
        verbs="gekauft,verkauft,gefunden,verloren,vergessen,geschickt,gesehen,gesucht,"
        "gelesen,gehört,bezahlt,beschrieben,gebracht,gezeigt,bestellt,geprüft",
        objects="das rote Auto,eine Tasse Kaffee,die Notizen,die Fahrkarten,ein Glas Wasser,"
        "den Bericht,frisches Brot,das Fenster,ein altes Buch,den Plan,das Telefon,"
        "ein kleines Haus,den Garten,die Musik,die Antwort,den nächsten Schritt,"
        "die Nachricht,ein Geschenk,die Aufnahme,das Mikrofon",
        times="heute,gestern,vorgestern,letzte Woche,im Januar,am Nachmittag,am Montag,"
        "am Freitagabend,nach dem Essen,vor der Arbeit,im Büro,zu Hause,in der Stadt,"
        "am Fluss,mit großer Sorgfalt,zum ersten Mal,so bald wie möglich,jeden Tag,wieder",
        numbers="eins,zwei,drei,vier,fünf,sechs,sieben,acht,neun,zehn,elf,zwölf,dreizehn,"
        "vierzehn,fünfzehn,zwanzig,dreißig,vierzig,fünfzig,sechzig,siebzig,achtzig,"
        "neunzig,hundert,zweitausend",
        minutes="Uhr dreißig,Uhr fünfzehn,Uhr,Uhr zehn",
        waiting="{time} warten hier {number} Leute",
        meeting="die Sitzung beginnt {time} um {number} {minute}",
    ),
    "es": Frames(
        subjects="yo,mi amigo,la maestra,el doctor,nuestro equipo,el cliente,su hermano,"
        "la directora,todo el mundo,el conductor,una estudiante,el nuevo ingeniero,"
        "mi madre,el vecino",
        verbs="necesita,quiere,compró,vendió,encontró,perdió,recuerda,olvidó,envió,abrió,"
        "cerró,limpió,buscó,leyó,pagó,miró,trajo,pidió",
        objects="el coche rojo,una taza de café,las notas,los billetes,un vaso de agua,"
        "el informe,pan fresco,la ventana,un libro viejo,el plan,el teléfono,"
        "una casa pequeña,el jardín,la música,la respuesta,el próximo paso,el mensaje,"
        "un regalo,la grabación,el micrófono",
        times="hoy,ayer,mañana por la mañana,la semana pasada,el próximo mes,por la tarde,"
        "el lunes,el viernes por la noche,después de comer,antes de la cena,en la oficina,"
        "en casa,en la ciudad,cerca del río,con mucho cuidado,por primera vez,"
        "lo antes posible,todos los días,ahora mismo,otra vez",
        numbers="uno,dos,tres,cuatro,cinco,seis,siete,ocho,nueve,diez,once,doce,trece,"
        "catorce,quince,veinte,treinta,cuarenta,cincuenta,sesenta,setenta,ochenta,"
        "noventa,cien,dos mil",
        minutes="y media,y cuarto,en punto,y diez",
        waiting="hay {number} personas esperando {time}",
        meeting="la reunión empieza a las {number} {minute} {time}",
    ),
}


def everyday(language: Language, count: int, rng: random.Random) -> list[str]:
    """Write `count` different sentences, in alphabetical order."""
    frames = FRAMES[language]
    subjects, verbs = frames.subjects.split(","), frames.verbs.split(",")
    objects, times = frames.objects.split(","), frames.times.split(",")
    numbers, minutes = frames.numbers.split(","), frames.minutes.split(",")
    written: set[str] = set()
    while len(written) < count:
        draw = rng.random()
        if draw < 0.6:
            first, verb = rng.choice(subjects), rng.choice(verbs)
            thing, time = rng.choice(objects), rng.choice(times)
            order = (first, time, thing, verb) if language == "de" else (first, verb, thing, time)
            sentence = " ".join(order)
        elif draw < 0.8:
            sentence = frames.waiting.format(number=rng.choice(numbers), time=rng.choice(times))
        elif draw < 0.9:
            sentence = " ".join(rng.choice(numbers) for _ in range(rng.randint(3, 7)))
        else:
            sentence = frames.meeting.format(
                number=rng.choice(numbers[:12]),
                minute=rng.choice(minutes),
                time=rng.choice(times),
            )
        written.add(tidy(sentence))
    return sorted(written)
