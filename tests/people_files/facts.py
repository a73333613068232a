"""What the files say, and what is asked about it: everyday things that people have in their files."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FACTS", "FILLERS", "FOREIGN", "NAMES"]

FACTS = [
    tuple(part.strip() for part in line.split("|"))
    for line in Path(__file__).with_name("facts_table.txt").read_text("utf-8").splitlines()
]
"""Topic, text and question. Each is used in several files with another name for {who} and another number for
{n}, so that a question has one answer."""

FILLERS = [
    "Please keep this together with the other papers of the year. Copies were handed to everyone concerned.",
    "Nothing else was decided. The next date will be announced in good time, as always by post.",
    "Questions are answered in the mornings. In urgent cases leave a message and your number.",
    "This replaces the earlier version. Small mistakes in spelling were corrected without further notice.",
    "All the rest stays as it was agreed last year, and the list at the end was brought up to date.",
    "Thank you for your patience. We hope that all is now in order and remain with kind regards.",
]

NAMES = """
Harwick Ostrava Pellworm Quimby Tanaka Brennero Dunmore Eskdale Falun Gorlitz Hallstatt Ivrea Jevnaker
Kilrush Lindqvist Marlowe Nakuru Oberhof Pinzgau Rathlin Sorrento Thornbury Uppsala Vestmann Wexcombe
Yarrow Zermatt Abernathy Bellini Castellan Drummond Elsinore Fairweather Grimaldi Hathersage Inverary
Jorvik Kowalski Lovelace Montrose Nordkapp Okonkwo Prendergast Ravenna Silvaplana Tolstoy Underwood
Valdemar Winterthur Ashdown Birchall Carrick Delacroix Ellingham Fernandez Gallagher Huxtable Isidore
Jankowski Kirkwall Almeria Bergamo Cordoba Dubrovnik Ferrara Galway Heidelberg Innsbruck Jutland Krakow
Limerick Mostar Narvik Odense Padua Reykjavik Salamanca Tampere Utrecht Verona Wicklow Zagreb Aarhus
Bologna Calabria Debrecen Evora Fribourg Ghent Haarlem Istria Jaipur Kyoto Leipzig Messina Nagasaki Oslo
Porto Quebec Riga Seville Tallinn Ulster Vilnius Warsaw Yokohama Zurich Anderson Bianchi Chowdhury
Dimitrov Eriksson Fitzgerald Gonzalez Hernandez Ibsen Jablonski Kaufmann Laurent McAllister Nakamura
Oliveira Papadopoulos Quinn Rosenberg Schumacher Takahashi Ulrich Vasquez Weatherby Yamamoto Zimmermann
Acheson Blackwood Cavendish Dunwoody Eastwick Fothergill Greenhalgh Holloway Ingram Jessop Kingsley
Longbottom Middleton Nightingale Osborne Pemberton Rutherford Sinclair Thackeray Urquhart Vaughan
Whitaker Yates Amundsen Bakker Chevalier Dvorak Espinoza Fontaine Gustafsson Hoffmann Ivanov Johansson
Kovacs Lombardi Moreau Novak Orlov Petrov Ricci Santoro Torres Ustinov Virtanen Wagner Xavier
""".split()
"""Of people and places; each is in two files or so."""

FOREIGN = [
    (
        "cp1251",
        "ru",
        "Протокол собрания: ремонт крыши дома Ласточка намечен на май.",
        "когда ремонт крыши Ласточка",
    ),
    (
        "koi8-r",
        "ru",
        "Договор аренды: гараж Берёзка сдаётся на семь месяцев.",
        "на сколько сдаётся гараж Берёзка",
    ),
    (
        "utf-16",
        "ru",
        "Рецепт борща бабушки Зинаиды: свёкла, капуста и три зубчика чеснока.",
        "борщ бабушки Зинаиды",
    ),
    (
        "cp1252",
        "de",
        "Die Kündigung der Wohnung in der Mühlgasse gilt zum Ende des Quartals. Die Schlüssel hat Herr Weiß.",
        "Wer hat die Schlüssel der Mühlgasse",
    ),
    (
        "utf-8-sig",
        "fr",
        "La réunion des copropriétaires de la résidence Mélèze a décidé de repeindre la façade en été.",
        "repeindre la façade de la résidence Mélèze",
    ),
    (
        "iso8859-1",
        "es",
        "El señor Ibáñez pagará la reparación del tejado antes de la Navidad según el contrato.",
        "quién paga la reparación del tejado",
    ),
    (
        "cp1250",
        "pl",
        "Umowa najmu: mieszkanie przy ulicy Źródlanej, czynsz płatny do piątego dnia, właściciel Łukasz.",
        "czynsz mieszkanie przy ulicy Źródlanej",
    ),
    (
        "iso8859-2",
        "cs",
        "Pozvánka: schůze zahrádkářů Příbramě začíná v šest hodin večer, přineste košíky na švestky.",
        "schůze zahrádkářů švestky",
    ),
    (
        "cp1254",
        "tr",
        "Toplantı tutanağı: Şişli apartmanının çatısı ağustos ayında yenilenecek.",
        "Şişli apartmanının çatısı",
    ),
    (
        "cp1253",
        "el",
        "Πρακτικά συνέλευσης: η επισκευή της στέγης στο Ναύπλιο θα γίνει τον Μάιο.",
        "επισκευή της στέγης στο Ναύπλιο",
    ),
    ("cp1255", "he", "פרוטוקול האסיפה: תיקון הגג בבניין ארזים נקבע לחודש מאי.", "תיקון הגג בבניין ארזים"),
    ("cp1256", "ar", "محضر الاجتماع: إصلاح سقف عمارة النخيل مقرر في شهر مايو.", "إصلاح سقف عمارة النخيل"),
    (
        "shift_jis",
        "ja",
        "会議の議事録です。京都支店の屋根の修理は五月に行います。見積書は田中さんが送ります。",
        "京都支店の屋根の修理",
    ),
    (
        "euc-jp",
        "ja",
        "この契約書により、名古屋の倉庫は三年間貸し出されます。鍵は管理人が保管します。",
        "名古屋の倉庫の鍵",
    ),
    (
        "iso2022_jp",
        "ja",
        "祖母の味噌汁には、豆腐とわかめと大根を入れます。仕上げに柚子を少し加えます。",
        "味噌汁に柚子",
    ),
    (
        "gb18030",
        "zh",
        "会议纪要：苏州分公司的屋顶维修定于五月进行，由王经理负责联系施工单位。",
        "苏州分公司屋顶维修",
    ),
    ("big5", "zh-tw", "會議紀錄：高雄分店的招牌更換定於六月進行，費用由總公司負擔。", "高雄分店招牌更換"),
    (
        "cp949",
        "ko",
        "회의록: 부산 지점의 지붕 수리는 오월에 진행하며 견적서는 김 과장이 보냅니다.",
        "부산 지점 지붕 수리",
    ),
    ("cp874", "th", "รายงานการประชุม การซ่อมหลังคาอาคารเชียงใหม่จะเริ่มในเดือนพฤษภาคม", "ซ่อมหลังคาอาคารเชียงใหม่"),
    (
        "utf-16-le",
        "en",
        "The lifeboat at Skerryvore is launched by tractor; the crew meets on the second Sunday at noon.",
        "How is the lifeboat of Skerryvore launched?",
    ),
    (
        "utf-16-be",
        "en",
        "The organ at Montserrat has a pedal that squeaks; the tuner comes when the pilgrims have left.",
        "What is wrong with the organ at Montserrat?",
    ),
    (
        "utf-32",
        "en",
        "The windmill of Zaanstad grinds pigments for painters and is open to visitors when the flag is out.",
        "What does the windmill of Zaanstad grind?",
    ),
    (
        "mac-roman",
        "fr",
        "Le château de Brézé loue sa salle voûtée pour les fêtes; la clé est chez le boulanger.",
        "qui a la clé de la salle voûtée de Brézé",
    ),
    (
        "cp850",
        "de",
        "Das Gemeindehaus in Jüterbog öffnet früher, weil die Bücherei Regale und Stühle übernimmt.",
        "warum öffnet das Gemeindehaus in Jüterbog früher",
    ),
]
"""Encoding, language, text and question."""
